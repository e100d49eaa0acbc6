"""A run goes on with the version of its prompts that it began with."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, settings

from ace.config import RunSettings
from ace.engine import run
from ace.engine.run_inputs import load_inputs
from ace.errors import StoreVersionError
from ace.inference import ScriptedBackend
from ace.prompts import load_pack
from ace.store import RunStore
from ace.types import Request


def answer(request: Request) -> str:
    return json.dumps({"reasoning": "r", "final_answer": "a", "key_insight": "", "operations": []})


def begin(folder: Path, pack_digest: str, **changes: Any) -> tuple[RunSettings, str]:
    """A run in the store that has not come to its first batch."""
    path = folder / "task.jsonl"
    path.write_text('{"question": "q", "target": "t"}\n')
    task = {"name": "jsonl", "train": str(path), "instructions": "Answer with one letter."}
    chosen = settings(folder, task=task, **{"prompts": "standard", "adaptation__max_rounds": 1, **changes})
    inputs = load_inputs(chosen)
    with RunStore.open(chosen.store) as store:
        identity = store.create_run(
            chosen, task_digest=inputs.task_digest, pack_digest=pack_digest, playbook=inputs.playbook
        )
        store.finish_run(identity, "interrupted")
    return chosen, identity


@pytest.mark.parametrize("name", ["standard", "standard-1"])
def test_the_stored_version_is_used(tmp_path: Path, name: str) -> None:
    pack = load_pack(name).for_task("Answer with one letter.")
    chosen, identity = begin(tmp_path, pack.digest)
    backend = ScriptedBackend(answer)
    asyncio.run(run(chosen, backends=all_roles(backend), resume=identity))
    assert backend.requests
    for request in backend.requests:
        system, user = (message.content for message in request.messages[:2])
        assert system.startswith(pack.preamble)
        assert ("Answer with one letter." in user) == (name == "standard-1")


def test_a_version_that_ace_does_not_have_is_refused(tmp_path: Path) -> None:
    chosen, identity = begin(tmp_path, "sha256:0")
    with pytest.raises(StoreVersionError, match="prompt pack"):
        asyncio.run(run(chosen, backends=all_roles(ScriptedBackend(answer)), resume=identity))
