"""The settings and live parts of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from ace.config import RunSettings
from ace.engine.calls.call_gateway import CallGateway
from ace.engine.calls.role_runner import RoleRunner
from ace.engine.concurrency.blocking_pool import BlockingPool
from ace.engine.events import Listener, null_listener
from ace.inference import Bindings
from ace.playbook import Embedder, Playbook, WorkingSet, render
from ace.prompts import PromptPack
from ace.store import RunStore
from ace.tasks import Task


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run's settings and live parts. The playbook is not among them: the loop passes it from batch to batch.

    `working_sets` caches the bullets retrieved for an epoch, by the index of the epoch's first batch;
    `curation_errors` lists why curator calls of a batch in flight failed.
    """

    run: str
    settings: RunSettings
    task: Task
    pack: PromptPack
    bindings: Bindings
    store: RunStore
    calls: CallGateway
    roles: RoleRunner
    embedder: Embedder
    blocking_pool: BlockingPool
    listener: Listener = null_listener
    working_sets: dict[int, WorkingSet] = field(default_factory=dict)
    curation_errors: dict[int, list[str]] = field(default_factory=dict)

    def render(self, playbook: Playbook) -> str:
        """Render the playbook as prompts show it: the part of the prefix that all roles share."""
        return render(playbook, self.pack.formats)

    @property
    def token_budget(self) -> int | None:
        """Tokens that the rendered playbook may have; None for no limit."""
        return self.settings.playbook.budget(self.bindings.context)

    def count_tokens(self, text: str) -> int:
        """Count the tokens of `text` by the generator's own tokenizer."""
        return self.bindings.get("generator").backend.count_tokens(text)
