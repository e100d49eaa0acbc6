"""The completion cache: an unchanged experiment asks nothing twice, a changed one asks what changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, micro_backend, settings
from sqlalchemy import create_engine, delete, select

from ace.engine import RunSummary, run
from ace.engine.calls.completion_cache import CompletionCache
from ace.engine.events import EngineReady, EngineStartDeferred, Event
from ace.inference import Backend, LoraBackend, ModelBinding, ScriptedBackend, bind
from ace.inference.backend import BackendInfo
from ace.store import RunStore, schema
from ace.types import ROLES, Message, Request, Sampling

GREEDY = {f"roles__{role}__temperature": 0.0 for role in ROLES}


def go(folder: Path, backend: ScriptedBackend, **changes: Any) -> RunSummary:
    return asyncio.run(run(settings(folder, **{**GREEDY, **changes}), backends=all_roles(backend)))


def test_a_second_run_of_the_same_asks_nothing_and_ends_the_same(tmp_path: Path) -> None:
    first = go(tmp_path, micro_backend())
    backend = micro_backend()
    second = go(tmp_path, backend)
    assert backend.requests == []
    assert sum(second.calls.values()) == 0
    assert second.cache_hits == sum(first.calls.values()) + first.cache_hits
    assert second.prefix_cache_hit_rate is None
    for fact in ("accuracy_before", "accuracy_after", "playbook_version", "playbook_bullets", "samples"):
        assert getattr(second, fact) == getattr(first, fact)


def test_hits_are_free_of_budget(tmp_path: Path) -> None:
    first = go(tmp_path, micro_backend())
    assert go(tmp_path, micro_backend(), budget__calls=1).status == first.status == "done"


def test_what_changed_is_asked(tmp_path: Path) -> None:
    whole = micro_backend()
    go(tmp_path, whole)
    backend = micro_backend()
    go(tmp_path, backend, adaptation__epochs=2)
    assert 0 < len(backend.requests) < len(whole.requests) / 2, "the second epoch alone"


@pytest.mark.parametrize(
    ("policy", "temperature", "asked_again"),
    [("none", 0.0, True), ("greedy", 0.0, False), ("greedy", 0.5, True), ("all", 0.5, False)],
)
def test_policies(tmp_path: Path, policy: str, temperature: float, asked_again: bool) -> None:
    changes = {f"roles__{role}__temperature": temperature for role in ROLES}
    go(tmp_path, micro_backend(), cache=policy, **changes)
    backend = micro_backend()
    go(tmp_path, backend, cache=policy, **changes)
    assert bool(backend.requests) is asked_again


def generator(folder: Path, backend: Backend) -> ModelBinding:
    return bind(settings(folder), all_roles(backend)).get("generator")


def test_a_seed_tells_sampled_answers_apart_and_greedy_ones_not(tmp_path: Path) -> None:
    request = Request((Message("user", "q"),), Sampling(temperature=0.0, seed=1))
    other = replace(request, sampling=Sampling(temperature=0.0, seed=2))
    with RunStore.open("sqlite://") as store:
        cache = CompletionCache("all", store)
        binding = generator(tmp_path, micro_backend())
        assert cache.key(binding, request) == cache.key(binding, other)
        warm = [replace(r, sampling=replace(r.sampling, temperature=0.5)) for r in (request, other)]
        assert cache.key(binding, warm[0]) != cache.key(binding, warm[1])


def test_a_model_whose_files_changed_is_another_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"one")
    backend = micro_backend()
    backend.info = BackendInfo("huggingface", str(folder), "cpu", 1024, False, 0.0)
    request = Request((Message("user", "q"),), Sampling(temperature=0.0))

    def key() -> str | None:
        with RunStore.open("sqlite://") as store:
            return CompletionCache("greedy", store).key(generator(tmp_path, backend), request)

    before = key()
    assert key() == before
    (folder / "model.safetensors").write_bytes(b"another")
    assert key() != before


def test_an_adapter_decides_the_answer(tmp_path: Path) -> None:
    """Its folder's files, too: training goes on in the same place."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"one")
    request = Request((Message("user", "q"),), Sampling(temperature=0.0))

    def key(backend: Backend) -> str | None:
        with RunStore.open("sqlite://") as store:
            return CompletionCache("greedy", store).key(generator(tmp_path, backend), request)

    engine = micro_backend()
    tuned, elsewhere = LoraBackend(engine, str(folder)), LoraBackend(engine, str(tmp_path))
    before = key(tuned)
    assert len({before, key(engine), key(elsewhere)}) == 3
    assert key(tuned) == before
    (folder / "adapter_model.safetensors").write_bytes(b"another")
    assert key(tuned) != before


ENGINE = {
    **GREEDY,
    "models__main": {"provider": "huggingface", "model": "micro-target", "max_model_len": 1024, "dtype": "float32"},
    "task__micro": {"seed": 3, "terms": 4, "modifiers": 3, "train": 4, "validation": 0, "test": 2},
    **{f"roles__{role}__max_tokens": 160 for role in ROLES},
}


def with_engine(folder: Path, **changes: Any) -> tuple[RunSummary, list[Event]]:
    told: list[Event] = []
    summary = asyncio.run(run(settings(folder, **{**ENGINE, **changes}), listener=told.append))
    return summary, [event for event in told if isinstance(event, EngineReady | EngineStartDeferred)]


@pytest.mark.engine
def test_an_engine_is_started_only_where_the_cache_has_not_everything(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    first, told = with_engine(tmp_path)
    assert [type(event) for event in told] == [EngineReady]

    second, told = with_engine(tmp_path)
    assert told == [EngineStartDeferred("huggingface", "micro-target")]
    assert sum(second.calls.values()) == 0 and second.engine_start_s == 0.0
    assert (second.accuracy_after, second.playbook_version) == (first.accuracy_after, first.playbook_version)
    assert (second.provider, second.model) == (first.provider, first.model)
    assert first.engines["micro-target"].startswith("asked for; ")
    assert second.engines == {"micro-target": "asked for; not started"}

    forget_one(tmp_path)
    third, told = with_engine(tmp_path)
    assert [type(event) for event in told] == [EngineStartDeferred, EngineReady]
    assert sum(third.calls.values()) == 1 and third.engine_start_s > 0
    assert third.accuracy_after == first.accuracy_after

    _, told = with_engine(tmp_path, adaptation__epochs=2)
    assert [type(event) for event in told] == [EngineReady], "no run of these settings is done"


@pytest.mark.engine
def test_sampled_answers_that_are_not_kept_are_no_reason_to_wait_with_the_engine(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    for _ in range(2):
        _, told = with_engine(tmp_path, roles__curator__temperature=0.5)
        assert [type(event) for event in told] == [EngineReady]


def forget_one(folder: Path) -> None:
    """Take one answer out of the completion cache."""
    engine = create_engine(f"sqlite:///{folder}/ace.db")
    with engine.begin() as connection:
        table = schema.completions
        last = connection.execute(select(table.c.digest)).scalars().all()[-1]
        connection.execute(delete(table).where(table.c.digest == last))
    engine.dispose()
