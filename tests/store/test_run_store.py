"""What is committed is what is read."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from builders import CALLS, SAMPLES, batch, call, evaluation, outcome, settings, start
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Dialect, event
from sqlalchemy.dialects import postgresql, sqlite

from ace.errors import RunLockedError, RunNotFoundError, StoreError
from ace.playbook.apply import SkippedOperation
from ace.playbook.bullet import Provenance
from ace.playbook.delta import Add, Delta, Merge, Operation, Remove, Tag, Update
from ace.playbook.playbook import Playbook
from ace.store import BatchRecord, JournalEntry, OutcomeRecord, RoleUsage, RunStore
from ace.store.database import insert_new, write_transaction
from ace.store.inserts import trim_completions
from ace.store.schema import journal
from ace.types import Completion, Usage


def commit(store: RunStore, run: str, count: int) -> list[BatchRecord]:
    """`count` more batches."""
    records: list[BatchRecord] = []
    playbook = store.playbook(run)
    last = store.last_batch(run)
    first = last.index + 1 if last else 0
    for index in range(first, first + count):
        records.append(batch(run, index, playbook))
        playbook = records[-1].playbook
        store.commit_batch(records[-1])
    return records


def test_a_new_run(store: RunStore) -> None:
    run = store.run(start(store))
    assert re.fullmatch(r"\d{8}-\d{6}-my-run-[0-9a-f]{4}", run.id)
    assert (run.name, run.status, run.task, run.pack) == ("My run", "running", "micro", "standard")
    assert (run.task_digest, run.pack_digest) == ("sha256:task", "sha256:pack")
    assert run.settings == settings().model_dump(mode="json")
    assert run.settings_digest == settings().digest
    assert run.created.tzinfo is UTC or run.created.utcoffset() is not None
    assert run.live
    assert (run.finished, run.summary, run.best_version, run.batches) == (None, None, None, 0)
    assert store.playbook(run.id) == Playbook.empty()
    assert store.last_batch(run.id) is None
    assert store.usage_by_role(run.id) == {}


@pytest.mark.slow
def test_the_work_of_reading_batches_grows_with_their_number_and_no_faster(store: RunStore) -> None:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    run, work = start(store), []
    for _ in range(2):
        commit(store, run, 60)
        with store.engine.connect() as connection:
            connection.connection.dbapi_connection.set_progress_handler(count, 10)  # type: ignore[union-attr]
        steps = 0
        assert store.batches(run)[-1].playbook_version == store.playbook(run).version
        work.append(steps)
    assert work[1] < 3 * work[0]  # twice the batches; where rows are compared in pairs, it is four times the work


def test_a_password_does_not_get_into_the_store(store: RunStore) -> None:
    secret = settings(store="postgresql://me:secret@host/ace")
    run = store.create_run(secret, task_digest="t", pack_digest="p", playbook=Playbook.empty())
    assert store.run(run).settings["store"] == "postgresql://me:***@host/ace"
    assert store.run(run).settings_digest == secret.digest


def test_batches_come_back(store: RunStore) -> None:
    run = start(store)
    records = commit(store, run, 3)
    infos = store.batches(run)
    assert [info.index for info in infos] == [0, 1, 2]
    for info, record in zip(infos, records, strict=True):
        assert (info.epoch, info.compacted, info.window) == (0, record.compacted, {"index": record.index})
        assert (info.samples, info.correct, info.failed, info.corrected) == (SAMPLES, SAMPLES - 1, 1, 1)
        assert info.scored == SAMPLES - 1
        assert info.playbook_version == record.playbook.version
        assert (info.started, info.finished) == (record.started, record.finished)
        assert store.outcomes(run, batch=record.index) == record.outcomes
        assert store.calls(run, batch=record.index) == record.calls
        assert store.playbook(run, record.playbook.version) == record.playbook
        assert store.playbook_after(run, record.index) == record.playbook
    assert store.last_batch(run) == infos[-1]
    assert store.playbook(run) == records[-1].playbook
    assert store.outcomes(run) == sum((record.outcomes for record in records), ())
    assert store.calls(run) == sum((record.calls for record in records), ())
    assert store.run(run).batches == 3


def test_versions_and_deltas(store: RunStore) -> None:
    run = start(store)
    records = commit(store, run, 2)
    first, *rest = store.playbook_versions(run)
    assert (first.batch, first.bullets, first.operations, first.skipped) == (None, 0, {}, 0)
    for entry, record in zip(rest, records, strict=True):
        assert (entry.batch, entry.version) == (record.index, record.playbook.version)
        assert (entry.digest, entry.bullets) == (record.playbook.digest, len(record.playbook))
        assert entry.operations == {"ADD": 1}
        assert entry.skipped == 1
    assert [(info.batch, info.version, info.delta, info.skipped) for info in store.deltas(run)] == [
        (record.index, record.playbook.version, record.delta, record.skipped) for record in records
    ]


def test_every_kind_of_operation_comes_back(store: RunStore) -> None:
    run = start(store)
    source = Provenance(run, 0, "s\x00\ud800", "curator", None)
    operations: tuple[Operation, ...] = (
        Add("rules", "a", "why", source),
        Update("rules-00001", "b", "why", source),
        Merge(("rules-00001", "rules-00002"), "c", None, "why", source),
        Remove("rules-00001", "why", source),
        Tag("rules-00001", "helpful", 3),
    )
    skipped = tuple(SkippedOperation(operation, f"reason {number}") for number, operation in enumerate(operations))
    record = replace(batch(run, 0, Playbook.empty()), delta=Delta(operations), skipped=skipped)
    store.commit_batch(record)
    (info,) = store.deltas(run)
    assert (info.delta, info.skipped) == (record.delta, skipped)
    version = store.playbook_versions(run)[1]
    assert (version.operations, version.skipped) == ({}, 5), "what was skipped is not counted as carried out"


def test_a_batch_that_changes_nothing_keeps_the_version(store: RunStore) -> None:
    run = start(store)
    (record,) = commit(store, run, 1)
    store.commit_batch(replace(record, index=1, outcomes=(), calls=()))
    assert [entry.version for entry in store.playbook_versions(run)][1:] == [record.playbook.version] * 2
    last = store.last_batch(run)
    assert last is not None
    assert (last.samples, last.correct, last.failed) == (0, 0, 0)


def test_evaluations(store: RunStore) -> None:
    run = start(store)
    assert store.commit_evaluation(evaluation(run)) == 0
    (record,) = commit(store, run, 1)
    after = replace(evaluation(run, "after", record.playbook.version), after_batch=0)
    assert store.commit_evaluation(after) == 1
    before, last = store.evaluations(run)
    assert (before.label, before.split, before.playbook_version, before.after_batch) == ("before", "test", 0, None)
    assert (last.label, last.after_batch, last.n, last.correct, last.failed) == ("after", 0, 4, 3, 1)
    assert last.accuracy == 0.75
    assert store.outcomes(run, evaluation=1) == after.outcomes
    assert store.calls(run, evaluation=1) == after.calls
    assert store.outcomes(run) == record.outcomes
    assert store.calls(run) == record.calls


def test_usage_by_role_sums_everything(store: RunStore) -> None:
    run = start(store)
    record = commit(store, run, 1)[0]
    judged = evaluation(run)
    store.commit_evaluation(judged)
    usage = store.usage_by_role(run)
    assert set(usage) == {"generator", "reflector", "curator"}
    for role, used in usage.items():
        of_role = [c for c in (*record.calls, *judged.calls) if c.role == role]
        assert (used.calls, used.from_cache) == (len(of_role), 0)
        assert used.usage == sum((c.usage for c in of_role), Usage())
        assert used.parse_failures == sum(not c.parsed for c in of_role)


def test_usage_keeps_unknown_times_unknown(store: RunStore) -> None:
    run = start(store)
    untimed = replace(call(0), usage=Usage(5, 0, 1, None, None, 0.0))
    store.commit_batch(replace(batch(run, 0, Playbook.empty()), calls=(untimed,)))
    assert store.usage_by_role(run) == {"generator": RoleUsage(1, Usage(5, 0, 1, None, None, 0.0), 0, 0)}


def test_the_journal_holds_answers_until_their_batch_is_committed(store: RunStore) -> None:
    run = start(store)
    record = batch(run, 0, Playbook.empty())
    entries = [
        JournalEntry(c.role, c.digest, Completion(c.text, c.finish_reason, c.usage, c.model, attempts=2))
        for c in record.calls
    ]
    store.commit_journal(run, entries[:2])
    store.commit_journal(run, entries)
    assert {entry.digest: entry for entry in store.journal(run)} == {entry.digest: entry for entry in entries}
    assert sum(used.calls for used in store.usage_by_role(run).values()) == len({entry.digest for entry in entries})
    store.commit_batch(record)
    assert store.journal(run) == ()
    assert sum(used.calls for used in store.usage_by_role(run).values()) == len(record.calls)


def test_only_the_owner_writes_the_journal(store: RunStore) -> None:
    run = start(store)
    store.release(run)
    with pytest.raises(RunLockedError):
        store.commit_journal(run, [JournalEntry("generator", "d", Completion("a", "stop", Usage(), "m"))])


def test_the_completion_cache_is_shared_by_runs_and_trimmed(store: RunStore) -> None:
    run = start(store)
    assert store.completion("k0") is None
    for number in range(6):
        answer = Completion(f"answer \x00 {number}", "stop", Usage(5, 2, 3, 0.1, 0.2, 0.3), "m")
        store.commit_journal(run, [JournalEntry("generator", f"d{number}", answer)], completions={f"k{number}": answer})
    assert store.completion("k3") == Completion("answer \x00 3", "stop", Usage(), "m", from_cache=True)
    other = Completion("another", "stop", Usage(), "m")
    store.commit_journal(run, [JournalEntry("generator", "d", other)], completions={"k3": other})
    assert store.completion("k3").text == "answer \x00 3"  # type: ignore[union-attr]
    with write_transaction(store.engine) as connection:
        trim_completions(connection, 4)
    assert [number for number in range(6) if store.completion(f"k{number}")] == [2, 3, 4, 5]


def test_finishing(store: RunStore) -> None:
    run = start(store)
    store.finish_run(run, "budget", summary={"accuracy": 0.5}, best_version=0)
    found = store.run(run)
    assert (found.status, found.summary, found.best_version) == ("budget", {"accuracy": 0.5}, 0)
    assert found.finished is not None
    assert found.owner is None
    assert not found.abandoned
    store.acquire(run)
    store.finish_run(run, "done")
    assert store.run(run).summary == {"accuracy": 0.5}


def test_only_the_next_batch_is_taken_and_a_refused_one_leaves_nothing(store: RunStore) -> None:
    run = start(store)
    record = batch(run, 0, Playbook.empty())
    for wrong in (1, 2):
        with pytest.raises(StoreError, match="the next one is 0"):
            store.commit_batch(replace(record, index=wrong))
    store.commit_batch(record)
    with pytest.raises(StoreError, match="the next one is 1"):
        store.commit_batch(record)
    twice = replace(record, index=1, outcomes=(outcome(1), outcome(1)))
    with pytest.raises(StoreError, match="UNIQUE"):
        store.commit_batch(twice)
    assert len(store.batches(run)) == 1
    assert len(store.calls(run)) == CALLS
    assert store.playbook(run) == record.playbook


def test_listing_is_newest_first_and_reads_no_texts(store: RunStore) -> None:
    ids = [start(store, name) for name in ("a", "b", "c")]
    commit(store, ids[1], 2)
    seen: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    assert [run.id for run in store.list_runs()] == ids[::-1]
    assert [run.batches for run in store.list_runs(limit=2)] == [0, 2]
    assert not [statement for statement in seen if "calls" in statement or "outcomes" in statement]
    assert store.resolve("latest") == ids[-1]


def test_unknown_runs_and_versions(store: RunStore) -> None:
    run = start(store)
    for read in (
        store.run,
        store.playbook,
        store.playbook_versions,
        store.deltas,
        store.batches,
        store.last_batch,
        store.evaluations,
        store.outcomes,
        store.calls,
        store.usage_by_role,
    ):
        with pytest.raises(RunNotFoundError, match=run):
            read(run[:-2])
    with pytest.raises(RunNotFoundError, match="no batch 3"):
        store.playbook_after(run, 3)
    with pytest.raises(RunNotFoundError, match="no playbook version 7; it has versions 0 to 0"):
        store.playbook(run, 7)


any_text = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(
    ["\x00", "a\x00b", "\ud800", "\udfff\ud800", "\x01json:", "\x01json:\x00", "", "é\U0001f600", "x" * 100_000]
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=any_text)
def test_any_text_survives(store: RunStore, text: str) -> None:
    run = start(store)
    strange = OutcomeRecord(text, 0, "scored", text, 0.1, False, 0, False, text)
    record = replace(
        batch(run, 0, Playbook.empty()),
        outcomes=(strange,),
        calls=(replace(call(0, text), sample_id=text, error=text),),
        window={"text": text, text: [None, 1.5, True]},
    )
    store.commit_batch(record)
    store.finish_run(run, "done", summary={text: text})
    assert store.outcomes(run) == record.outcomes
    assert store.calls(run) == record.calls
    assert store.batches(run)[0].window == record.window
    assert store.run(run).summary == {text: text}


def test_readers_do_not_wait_for_a_writer(store: RunStore, path: Path) -> None:
    run = start(store)
    with RunStore.open(path, create=False) as reader, write_transaction(store.engine):
        assert reader.run(run).batches == 0, "one that waited would be told that the database is locked"


def test_threads_share_a_store(store: RunStore) -> None:
    runs = [start(store, f"t{number}") for number in range(4)]
    failures: list[BaseException] = []

    def work(run: str) -> None:
        try:
            commit(store, run, 5)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [store.run(run).batches for run in runs] == [5] * 4


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])  # type: ignore[no-untyped-call]
def test_each_database_passes_over_what_the_journal_has(dialect: Dialect) -> None:
    assert str(insert_new(dialect, journal).compile(dialect=dialect)).endswith("ON CONFLICT DO NOTHING")


def test_threads_use_a_store_in_memory_by_turns() -> None:
    """It has one connection, which cannot be in two transactions at once."""
    with RunStore.open("sqlite://") as store, ThreadPoolExecutor(4) as threads:
        run = start(store)

        def work(number: int) -> int:
            store.commit_journal(
                run, [JournalEntry("generator", f"sha256:{number}", Completion("a", "stop", Usage(), "m"))]
            )
            return len(store.journal(run))

        seen = list(threads.map(work, range(200)))
        assert max(seen) == len(store.journal(run)) == 200


def test_in_memory() -> None:
    with RunStore.open("sqlite://") as store:
        run = start(store)
        commit(store, run, 2)
        assert store.run(run).batches == 2
