"""The playbook that a tool is to use: a fixed one, or the newest of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ace.config import DEFAULT_STORE
from ace.playbook import Playbook, read_playbook
from ace.store import RunStore

PlaybookSource = Playbook | str | Path | Callable[[], Playbook]
"""A playbook, its file, or a function that is asked at each request."""


@dataclass(frozen=True, slots=True)
class RunPlaybook:
    """The best playbook of a stored run, read anew at each call: that of a running one grows.

    `run` is a run as `ace show` takes it.
    """

    run: str
    store: str = DEFAULT_STORE

    def __call__(self) -> Playbook:
        with RunStore.open(self.store, create=False) as store:
            stored = store.run(store.resolve(self.run))
            return store.playbook(stored.id, stored.best_version)


def playbook_of(source: PlaybookSource) -> Callable[[], Playbook]:
    """A function that gives the playbook of `source`. A file is read once, now. PlaybookFormatError."""
    if isinstance(source, Playbook):
        return lambda: source
    if isinstance(source, str | Path):
        playbook = read_playbook(source)
        return lambda: playbook
    return source
