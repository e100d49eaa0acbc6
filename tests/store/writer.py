"""A writer to be killed: commits batches to the store at argv[1] until it dies, and prints each index once it is safe.

Takes over the newest run if there is one, else begins one. argv[2], argv[3]: samples and calls of a batch.
"""

from __future__ import annotations

import sys

from builders import batch, start

from ace.store import RunStore


def main() -> None:
    path, samples, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
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


if __name__ == "__main__":
    main()
