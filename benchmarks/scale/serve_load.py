"""`ace serve` under load: errors, the latency that it adds, and its memory.

A scripted upstream streams answers at the pace of a model. The same clients ask it directly, then through the server,
then directly again. Upstream and server are processes of their own; the clients are in this one.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from aiohttp import web

from ace.bench.adaptation_runs.micro_settings import micro_run
from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.errors import ProviderStartError
from ace.playbook import Add, Delta, Playbook, Section, apply
from ace.store import RunStore

BULLETS = 100
FIRST_S, CHUNKS, PAUSE_S = 0.5, 20, 0.2
"""The upstream's pace: the first piece of an answer after half a second, then five pieces a second."""
FEEDBACK_EVERY = 5
"""Each so manieth answer gets feedback."""
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class LoadRow:
    """One phase: answers that came whole, and medians and 99th percentiles in milliseconds."""

    name: str
    seconds: float
    answers: int
    errors: int
    feedback: int
    first_ms: float
    first_p99_ms: float
    whole_ms: float
    whole_p99_ms: float


@dataclass(frozen=True, slots=True)
class ServeReport(Report):
    """The phases in order, and the server's resident memory by seconds since the load began.

    `cpu_ms` is the server's CPU time for one answer. `load` is the machine's load average before the first phase: what
    else runs takes its part of the latencies.
    """

    rows: tuple[LoadRow, ...]
    memory: tuple[tuple[int, int], ...]
    clients: int
    seconds: float
    seed: int
    cpu_ms: float
    load: float
    machine: Machine

    def added(self, name: str) -> float:
        """Milliseconds that the server adds to the median of `name`, against the mean of the direct phases."""
        before, served, after = (getattr(row, name) for row in self.rows)
        return float(served - (before + after) / 2)

    def to_markdown(self) -> str:
        """Show what the server adds, then the phases, then its memory."""
        rows = (
            (
                row.name,
                str(row.answers),
                str(row.errors),
                str(row.feedback),
                *(f"{value:.1f}" for value in (row.first_ms, row.first_p99_ms, row.whole_ms, row.whole_p99_ms)),
            )
            for row in self.rows
        )
        columns = ("phase", "answers", "errors", "feedback", "first piece ms", "p99", "whole answer ms", "p99")
        memory = ((str(second), f"{size / 2**20:.1f}") for second, size in self.memory)
        return report(
            f"python -m benchmarks serve --clients {self.clients} --seconds {self.seconds:g} --seed {self.seed}",
            self.machine,
            f"{self.clients} clients at once, a playbook of {BULLETS} bullets, streamed answers: first piece after "
            f"{FIRST_S:g} s, {CHUNKS} pieces in {CHUNKS * PAUSE_S:g} s. Added at the median: "
            f"{self.added('first_ms'):.1f} ms to the first piece, {self.added('whole_ms'):.1f} ms to the whole answer.",
            f"CPU time of the server: {self.cpu_ms:.1f} ms an answer, {self.cpu_ms / (CHUNKS + 2):.2f} ms a piece. "
            f"Load average of the machine before: {self.load:.1f}.",
            table(columns, rows),
            table(("second", "server's memory MiB"), memory),
        )


def measure_serve(*, clients: int = 200, seconds: float = 60.0, seed: int = 0) -> ServeReport:
    """Measure `ace serve` with `clients` clients for `seconds`, and the upstream alone before and after.

    `seed` changes nothing: the load is the same each time.
    """
    with TemporaryDirectory(prefix="ace-serve-") as folder, _upstream() as upstream:
        store = Path(folder) / "ace.db"
        run = _make_run(store)
        with _served(store, run, upstream) as (address, pid):
            return asyncio.run(_measure(upstream, address, pid, run, clients, seconds, seed))


async def _measure(
    upstream: str, address: str, pid: int, run: str, clients: int, seconds: float, seed: int
) -> ServeReport:
    load = os.getloadavg()[0]
    direct = [await _load("direct", upstream, "scripted", clients, seconds / 4)]
    memory: list[tuple[int, int]] = []
    watching = asyncio.create_task(_watch(pid, memory, seconds / 6))
    before = _cpu_s(pid)
    served = await _load("ace serve", address, f"ace/{run}", clients, seconds)
    cpu_ms = 1000 * (_cpu_s(pid) - before) / max(1, served.answers)
    watching.cancel()
    memory.append((round(seconds), _resident(pid)))
    direct.append(await _load("direct again", upstream, "scripted", clients, seconds / 4))
    rows = (direct[0], served, direct[1])
    return ServeReport(rows, tuple(memory), clients, seconds, seed, cpu_ms, load, Machine.here())


@dataclass(slots=True)
class _Tally:
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    errors: int = 0
    feedback: int = 0


async def _load(name: str, address: str, model: str, clients: int, seconds: float) -> LoadRow:
    """Each client asks again as soon as its answer is there, from a start of its own within the first answer's time."""
    tally = _Tally()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        started = time.perf_counter()
        until = started + seconds
        await asyncio.gather(
            *(_client(session, address, model, tally, until, number / clients) for number in range(clients))
        )
        took = time.perf_counter() - started
    return LoadRow(
        name,
        took,
        len(tally.whole),
        tally.errors,
        tally.feedback,
        *(
            1000 * value
            for values in (tally.first, tally.whole)
            for value in (statistics.median(values), statistics.quantiles(values, n=100)[98])
        ),
    )


async def _client(
    session: aiohttp.ClientSession, address: str, model: str, tally: _Tally, until: float, share: float
) -> None:
    await asyncio.sleep(share * (FIRST_S + CHUNKS * PAUSE_S))
    body = {"model": model, "messages": [{"role": "user", "content": "Which desk?"}], "stream": True}
    number = 0
    while time.perf_counter() < until:
        sent = time.perf_counter()
        try:
            async with session.post(f"{address}/chat/completions", json=body) as response:
                first = 0.0
                data = b""
                async for piece in response.content.iter_any():
                    first = first or time.perf_counter() - sent
                    data += piece
                if response.status != 200 or not data.endswith(b"data: [DONE]\n\n"):
                    raise aiohttp.ClientPayloadError(f"HTTP {response.status}: {data[:200]!r}")
                request_id = response.headers.get("x-request-id")
            tally.first.append(first)
            tally.whole.append(time.perf_counter() - sent)
            number += 1
            if request_id and number % FEEDBACK_EVERY == 0:
                feedback = {"request_id": request_id, "correct": False, "text": "the other desk"}
                async with session.post(f"{address}/feedback", json=feedback) as response:
                    response.raise_for_status()
                    tally.feedback += 1
        except (aiohttp.ClientError, TimeoutError):
            tally.errors += 1


async def _watch(pid: int, memory: list[tuple[int, int]], every_s: float) -> None:
    started = time.perf_counter()
    while True:
        memory.append((round(time.perf_counter() - started), _resident(pid)))
        await asyncio.sleep(every_s)


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, its children's left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _make_run(path: Path) -> str:
    """A finished run with a playbook of the usual size."""
    delta = Delta(
        tuple(Add("rules", f"Tickets about subject {number} go to desk {number}.") for number in range(BULLETS))
    )
    playbook = apply(Playbook.empty(sections=(Section("rules", "Rules"),)), delta).playbook
    with RunStore.open(path) as store:
        run = store.create_run(
            micro_run(path, {}, models={"main": {"provider": "scripted", "model": "none"}}),
            task_digest="none",
            pack_digest="none",
            playbook=playbook,
        )
        store.finish_run(run, "done")
    return run


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ProviderStartError(f"nothing listens on port {port} after {READY_S:.0f} s") from error
            time.sleep(0.1)


@contextmanager
def _served(store: Path, run: str, upstream: str) -> Iterator[tuple[str, int]]:
    """`ace serve` in front of the upstream: its address and its process."""
    port = _free_port()
    overrides = ("models.main.provider=openai", f"models.main.base_url={upstream}", "models.main.model=scripted")
    command = [sys.executable, "-m", "ace", "serve", run, "--store", str(store), "--port", str(port)]
    process = subprocess.Popen([*command, *(part for one in overrides for part in ("--set", one))])
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}/v1", process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _upstream() -> Iterator[str]:
    port = _free_port()
    process = multiprocessing.get_context("spawn").Process(target=_answer_forever, args=(port,), daemon=True)
    process.start()
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.join()


def _answer_forever(port: int) -> None:
    """The scripted upstream, as a process."""
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/chat/completions", _stream)
    app.router.add_get("/v1/models", _models)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, backlog=1024)


async def _models(request: web.Request) -> web.StreamResponse:
    return web.json_response({"object": "list", "data": []})


async def _stream(request: web.Request) -> web.StreamResponse:
    await request.read()
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await asyncio.sleep(FIRST_S)
    await response.prepare(request)
    for piece in _PIECES:
        await response.write(piece)
        await asyncio.sleep(PAUSE_S)
    await response.write(b"data: [DONE]\n\n")
    return response


def _pieces(texts: Sequence[str]) -> list[bytes]:
    head: dict[str, Any] = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
    choices = ({"index": 0, "delta": {"content": text}, "finish_reason": None} for text in texts)
    return [b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n" for choice in choices]


_PIECES = _pieces([f"word{number} of the answer " for number in range(CHUNKS)])
