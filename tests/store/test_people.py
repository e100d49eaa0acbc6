"""What people do to runs through the store: requests to running ones, edits of playbooks, prompts to look at."""

from __future__ import annotations

import pytest
from builders import batch, start

from ace.errors import PlaybookError, RunLockedError, RunNotRunningError
from ace.playbook import Add, Delta, Playbook, Provenance, Section, Tag, Update, Withhold
from ace.store import RunStore
from ace.types import Message

PERSON = Provenance(role="person")


def edit(content: str) -> Delta:
    return Delta((Update("rules-00001", content, provenance=PERSON),))


def ended(store: RunStore, batches: int = 2) -> str:
    """A run of `batches` batches that was interrupted."""
    run = start(store)
    playbook = Playbook.empty([Section("rules", "Rules")])
    for index in range(batches):
        record = batch(run, index, playbook)
        playbook = record.playbook
        store.commit_batch(record)
    store.finish_run(run, "interrupted")
    return run


def test_requests_reach_the_owner_and_end_with_the_run(store: RunStore) -> None:
    run = start(store)
    assert store.control(run) is None
    for control in ("pause", None, "stop"):
        store.request_control(run, control)
        assert store.control(run) == control == store.run(run).control
    with pytest.raises(RunNotRunningError, match="stopping already"):
        store.request_control(run, "pause")
    store.set_paused(run, True)
    assert store.run(run).paused is not None
    store.finish_run(run, "interrupted")
    assert (store.control(run), store.run(run).paused) == (None, None)
    with pytest.raises(RunNotRunningError, match="its status is interrupted"):
        store.request_control(run, "pause")


def test_an_edit_is_a_version_with_author_and_time_that_the_next_batch_starts_from(store: RunStore) -> None:
    run = ended(store)
    before = store.playbook(run)
    version = store.edit_playbook(run, edit("in other words"), author="Ada", version=before.version)
    assert version == before.version + 1 == store.current_version(run)
    after = store.playbook(run)
    assert after == store.playbook(run, version) == store.playbook_after(run, 1)
    assert after.by_id["rules-00001"].content == "in other words"
    assert store.playbook(run, before.version) == before
    info = store.playbook_versions(run)[-1]
    assert (info.author, info.batch, info.operations) == ("Ada", 1, {"UPDATE": 1})
    change = store.deltas(run)[-1]
    assert (change.author, change.batch, change.delta, change.created) == (
        "Ada",
        1,
        edit("in other words"),
        info.created,
    )
    assert [info.playbook_version for info in store.batches(run)] == [1, 2]

    store.acquire(run)
    store.commit_batch(batch(run, 2, after))
    assert [each.author for each in store.playbook_versions(run)] == [None, None, None, "Ada", None]
    assert store.playbook(run).by_id["rules-00001"].content == "in other words"


def test_an_edit_of_a_run_that_is_done_changes_its_best_playbook_and_takes_its_place(store: RunStore) -> None:
    run = ended(store, 3)
    store.acquire(run)
    store.finish_run(run, "done", best_version=1)
    version = store.edit_playbook(run, edit("better"), author="Ada", version=1)
    assert (version, store.run(run).best_version) == (4, 4)
    assert [bullet.content for bullet in store.playbook(run, 4).bullets] == ["better"]
    again = store.edit_playbook(run, Delta((Withhold("rules-00001"),)), author="Bob", version=4)
    assert (again, len(store.playbook(run, again).quarantined)) == (5, 1)


def test_an_edit_is_refused_while_a_process_runs_the_run_or_where_it_was_made_of_an_older_version(
    store: RunStore,
) -> None:
    run = start(store)
    with pytest.raises(RunLockedError):
        store.edit_playbook(run, Delta((Add("rules", "new"),)), author="Ada", version=0)
    store.finish_run(run, "interrupted")
    with pytest.raises(PlaybookError, match="is at version 0 by now, not 3"):
        store.edit_playbook(run, Delta((Add("rules", "new"),)), author="Ada", version=3)
    with pytest.raises(PlaybookError, match="no live bullet rules-00009"):
        store.edit_playbook(run, Delta((Tag("rules-00009", "helpful"),)), author="Ada", version=0)
    assert len(store.playbook_versions(run)) == 1
    store.edit_playbook(run, Delta((Add("rules", "new"),)), author="Ada", version=0)
    assert store.playbook_after(run, -1) == store.playbook(run, 1)
    assert store.playbook_versions(run)[0].bullets == 0


def test_prompts_are_kept_by_request_and_their_common_texts_once(store: RunStore) -> None:
    run = start(store)
    system = Message("system", "what all share \ud800")
    prompts = {f"sha256:{n}": (system, Message("user", f"question {n}")) for n in range(3)}
    store.commit_journal(run, [], prompts=prompts)
    store.commit_journal(run, [], prompts=prompts)
    assert [store.prompt(digest) for digest in prompts] == list(prompts.values())
    assert store.prompt("sha256:9") is None
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM prompt_texts").scalar_one() == 4
