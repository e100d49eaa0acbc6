"""Processes that write to a store: one commits batches until it is killed, and prints each index once it is safe."""

from __future__ import annotations

from typing import NoReturn

from builders import batch, start

from ace.store import RunStore


def write_until_killed(path: str, samples: int, calls: int) -> NoReturn:
    """Take over the newest run if there is one, else begin one. Each batch has that many samples and calls."""
    store = RunStore.open(path)
    if known := store.list_runs(limit=1):
        run = known[0].id
        store.acquire(run)
    else:
        run = start(store)
    last = store.last_batch(run)
    index = 0 if last is None else last.index + 1
    playbook = store.playbook(run)
    print("ready", flush=True)
    while True:
        record = batch(run, index, playbook, samples=samples, calls=calls)
        store.commit_batch(record)
        print(index, flush=True)
        playbook, index = record.playbook, index + 1


def open_and_close(path: str) -> int:
    """Open a store, which is created where there is none, and close it."""
    RunStore.open(path).close()
    return 0
