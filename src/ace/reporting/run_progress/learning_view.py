"""Live view of what a run learns: questions, answers and changes of the playbook."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from ace.engine.events import BatchCommitted, Event, RunStarted
from ace.playbook import Add, Merge, Operation, Remove, Update
from ace.reporting.run_progress.progress import View, progress_view
from ace.reporting.text import cell, visible
from ace.store import OutcomeRecord, RunReader, RunStore
from ace.types import Sample

MOST_CHARACTERS = 96
"""Characters of a question or an answer."""


class LearningView:
    """The progress of a run, and the answers and changes of each committed batch. `samples` are the task's, by id."""

    def __init__(self, console: Console, store: str, samples: Mapping[str, Sample]) -> None:
        self._console, self._store, self._samples = console, store, samples
        self._progress: View = progress_view(console)
        self._run = ""

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        self._progress(event)
        match event:
            case RunStarted(run=run):
                self._run = run
            case BatchCommitted(index=index):
                with RunStore.open(self._store, create=False) as store:
                    self._show_batch(store, index)

    def _show_batch(self, store: RunReader, index: int) -> None:
        for outcome in store.outcomes(self._run, batch=index):
            self._console.print(self._answer(outcome), soft_wrap=True)
        for committed in store.deltas(self._run):
            if committed.batch == index:
                for operation in committed.delta.operations:
                    if (line := describe_change(operation)) is not None:
                        self._console.print(line, soft_wrap=True)

    def _answer(self, outcome: OutcomeRecord) -> Text:
        sample = self._samples.get(outcome.sample_id)
        question = cell(outcome.sample_id if sample is None else sample.question, limit=MOST_CHARACTERS)
        if outcome.error is not None:
            return Text.assemble("  ", question, "  -> ", (visible(outcome.error), "yellow"))
        answer = cell(outcome.answer, limit=MOST_CHARACTERS)
        if outcome.first_correct:
            return Text.assemble("  ", question, "  -> ", answer, ("  right", "green"))
        if outcome.corrected:
            return Text.assemble("  ", question, "  -> ", answer, ("  right after reflection", "yellow"))
        expected = "" if sample is None or sample.target is None else f", expected {visible(sample.target)}"
        return Text.assemble("  ", question, "  -> ", answer, (f"  wrong{expected}", "red"))


def describe_change(operation: Operation) -> Text | None:
    """Describe one change of the playbook in a line. None for tags, which change no texts."""
    match operation:
        case Add(content=content):
            return Text(f"  + {visible(content)}", style="bold green")
        case Update(id=bullet, content=content):
            return Text(f"  ~ [{visible(bullet)}] {visible(content)}", style="bold yellow")
        case Merge(ids=bullets, content=content):
            return Text(f"  ~ [{visible(', '.join(bullets))}] {visible(content)}", style="bold yellow")
        case Remove(id=bullet):
            return Text(f"  - [{visible(bullet)}]", style="bold red")
        case _:
            return None
