"""What goes wrong in a run, and what is left of it."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from micro_runs import all_roles, micro_backend, micro_model, role_of, settings

from ace.engine import RunSummary, run
from ace.errors import (
    AceError,
    EngineDeadError,
    InterruptedRunError,
    PromptTooLongError,
    ProviderMissingError,
    RequestQuarantinedError,
    RequestRejectedError,
    StoreVersionError,
)
from ace.inference import ScriptedBackend
from ace.playbook import Playbook
from ace.store import RunStore
from ace.store.records import OutcomeRecord, Run
from ace.types import Completion, Request

FIRST = "micro-3-train-000"


class Faulty(ScriptedBackend):
    """Plays without a mistake, but raises `error` at the calls whose numbers are `hits`."""

    def __init__(self, error: BaseException, hits: set[int]) -> None:
        super().__init__(micro_model)
        self._error, self._hits = error, hits
        self._calls = itertools.count()

    async def complete(self, request: Request) -> Completion:
        if next(self._calls) in self._hits:
            raise self._error
        await asyncio.sleep(0)
        return await super().complete(request)


def go(folder: Path, backend: ScriptedBackend, resume: str | None = None, **changes: object) -> RunSummary:
    options = {"evaluation__before": False, "adaptation__validate_each_epoch": False, **changes}
    return asyncio.run(run(settings(folder, **options), backends=all_roles(backend), resume=resume))


def outcomes(folder: Path, name: str = "latest") -> tuple[OutcomeRecord, ...]:
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        return store.outcomes(store.resolve(name))


def latest(folder: Path) -> tuple[Run, Playbook]:
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        run_id = store.resolve("latest")
        return store.run(run_id), store.playbook(run_id)


@pytest.mark.parametrize(
    "error",
    [
        PromptTooLongError("the prompt has 9 tokens, 5 fit", prompt_tokens=9, max_model_len=5),
        RequestRejectedError("no"),
        RequestQuarantinedError("the engine died of it twice"),
    ],
)
def test_a_sample_that_cannot_be_asked_is_recorded_and_the_run_goes_on(tmp_path: Path, error: AceError) -> None:
    summary = go(tmp_path, Faulty(error, {0}))
    failed = [outcome for outcome in outcomes(tmp_path) if outcome.status == "failed"]
    assert [(type(error).__name__ in str(o.error), error.message in str(o.error)) for o in failed] == [(True, True)]
    assert (failed[0].correct, failed[0].value) == (None, None)
    assert (summary.status, summary.failed_samples, summary.samples) == ("done", 1, 6)


def test_an_unreadable_answer_is_a_failed_sample_with_its_text_kept(tmp_path: Path) -> None:
    def babble(request: Request) -> str:
        return (
            "well,"
            if role_of(request) == "generator" and "REFLECTION" not in request.messages[-1].content
            else micro_model(request)
        )

    summary = go(tmp_path, ScriptedBackend(babble), evaluation__after=False)
    assert (summary.failed_samples, summary.parse_failures) == (6, 6)
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        assert {(call.text, call.parsed) for call in store.calls(summary.run)} == {("well,", False)}


def test_an_unreadable_reflection_loses_its_insight_alone(tmp_path: Path) -> None:
    def mute(request: Request) -> str:
        return "hm" if role_of(request) == "reflector" else micro_model(request)

    summary = go(tmp_path, ScriptedBackend(mute), evaluation__after=False)
    assert (summary.failed_samples, summary.parse_failures, summary.playbook_bullets) == (0, 6, 0)
    assert all("ParseError" in str(outcome.error) and outcome.correct is False for outcome in outcomes(tmp_path))


def test_an_unreadable_curation_changes_nothing(tmp_path: Path) -> None:
    def lazy(request: Request) -> str:
        return "later" if role_of(request) == "curator" else micro_model(request)

    summary = go(tmp_path, ScriptedBackend(lazy), evaluation__after=False)
    assert (summary.playbook_bullets, summary.failed_samples) == (0, 0)
    assert summary.parse_failures == summary.calls["curator"] > 0


def test_a_dead_engine_ends_the_run_with_what_was_committed(tmp_path: Path) -> None:
    with pytest.raises(EngineDeadError):
        go(tmp_path, Faulty(EngineDeadError("gone"), {12}))
    known, playbook = latest(tmp_path)
    assert (known.status, known.batches) == ("failed", 1)
    assert 0 < len(playbook) < 7


@dataclass(frozen=True)
class WholeRun:
    """A run that nothing broke off, and the digests of what it asked."""

    folder: Path
    digests: list[str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    folder, backend = tmp_path_factory.mktemp("whole"), micro_backend()
    go(folder, backend)
    return WholeRun(folder, sorted(request.digest for request in backend.requests))


@pytest.mark.parametrize(
    ("stop", "error", "status"),
    [(stop, asyncio.CancelledError(), "interrupted") for stop in (0, 9, 17)]
    + [(stop, EngineDeadError("gone"), "failed") for stop in (3, 12, 20)],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_a_run_broken_off_is_resumed_to_the_same_end_and_asks_nothing_twice(
    tmp_path: Path, whole: WholeRun, stop: int, error: BaseException, status: str
) -> None:
    with pytest.raises((InterruptedRunError, EngineDeadError), match=r"ace resume|gone"):
        go(tmp_path, Faulty(error, {stop}))
    assert latest(tmp_path)[0].status == status
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        answered = {call.digest for call in store.calls(store.resolve("latest"))}
        answered |= {entry.digest for entry in store.journal(store.resolve("latest"))}
    rest = micro_backend()
    summary = go(tmp_path, rest, resume="latest")
    assert (summary.status, summary.accuracy_after) == ("done", 1.0)
    assert bare(latest(tmp_path)[1]) == bare(latest(whole.folder)[1])
    assert [o.sample_id for o in outcomes(tmp_path)] == [o.sample_id for o in outcomes(whole.folder)]
    assert sorted([*answered, *(request.digest for request in rest.requests)]) == whole.digests


def bare(playbook: Playbook) -> object:
    """The playbook without the runs' names, which differ."""
    data = playbook.to_json()
    for bullet in data["bullets"]:
        bullet["created"]["run"] = None
        if bullet["updated"]:
            bullet["updated"]["run"] = None
    return json.loads(json.dumps(data))


def test_a_run_that_is_done_has_no_journal(tmp_path: Path) -> None:
    summary = go(tmp_path, micro_backend())
    with RunStore.open(f"sqlite:///{tmp_path}/ace.db", create=False) as store:
        assert store.journal(summary.run) == ()
        assert len(store.calls(summary.run)) > 0


def test_a_run_is_not_resumed_with_other_data(tmp_path: Path) -> None:
    with pytest.raises(EngineDeadError):
        go(tmp_path, Faulty(EngineDeadError("gone"), {0}))
    with pytest.raises(StoreVersionError, match="task data"):
        go(tmp_path, micro_backend(), resume="latest", task__micro__seed=4)


def test_a_backend_given_from_outside_stays_open(tmp_path: Path) -> None:
    backend = micro_backend()
    go(tmp_path, backend)
    assert not backend.closed
    assert dataclasses.asdict(backend.info)["provider"] == "scripted"


@pytest.mark.skipif(find_spec("sentence_transformers") is not None, reason="the package is installed")
def test_a_missing_embedder_package_is_named_before_an_engine_starts_and_leaves_no_run(tmp_path: Path) -> None:
    dedup = {"embedder": "sentence-transformers", "model": "some/model"}
    with pytest.raises(ProviderMissingError, match="pip install 'sentence-transformers'"):
        go(tmp_path, Faulty(EngineDeadError("not reached"), set()), playbook__dedup=dedup)
    assert not (tmp_path / "ace.db").exists()
