"""A server of the room `server` on a port of this machine, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from builders import settings

from ace.config import ModelSettings
from ace.playbook import Add, Delta, Playbook, Section, apply
from ace.server import EndpointUpstream, PlaybookSource, Server, Upstream, create_app
from ace.store import BatchRecord, RunStore


def advice(*contents: str) -> Playbook:
    """A playbook with one bullet for each text."""
    delta = Delta(tuple(Add("rules", content) for content in contents))
    return apply(Playbook.empty(sections=(Section("rules", "Rules"),)), delta).playbook


def make_run(url: str | Path) -> str:
    """A finished run with two playbook versions, `first` and then also `second`."""
    with RunStore.open(url) as store:
        first = advice("first")
        run = store.create_run(settings("served"), task_digest="t", pack_digest="p", playbook=first)
        commit_version(store, run, "second")
        store.finish_run(run, "done")
    return run


def commit_version(store: RunStore, run: str, content: str) -> int:
    """Commit a batch that adds `content`. The store must own the run."""
    delta = Delta((Add("rules", content),))
    playbook = apply(store.playbook(run), delta).playbook
    last = store.last_batch(run)
    store.commit_batch(BatchRecord(run, last.index + 1 if last else 0, 0, (), (), delta, playbook))
    return playbook.version


@contextmanager
def serving(url: str | Path, run: str, upstream: Upstream | str, **options: Any) -> Iterator[str]:
    """The server's address; `upstream` may be the address of an endpoint. Options are Server's and PlaybookSource's."""
    if isinstance(upstream, str):
        upstream = EndpointUpstream(ModelSettings(provider="openai", model="upstream-model", base_url=upstream))
    store = RunStore.open(url, create=False)
    choice = {name: options.pop(name) for name in ("stable", "canary") if name in options}
    app = create_app(Server(store, PlaybookSource(store, run, **choice), upstream, **options))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=5))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
