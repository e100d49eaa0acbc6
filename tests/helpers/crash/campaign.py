"""`make crash`: kill a run at many seeded points, resume it, and compare what is left with the uninterrupted run.

Prints one line a point and at the end how many points there were, how many stores differed, how many kept calls were
asked again (both must be 0), and how many answers were lost in flight.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crash_lab import answered, finish, has_run, kept, left, start


@dataclass(frozen=True, slots=True)
class Point:
    """A moment to die: `kind` call, commit, overlap or time; `at` its number or its second; `signal` what is sent.

    An overlap is the commit of that batch of the process, while an answer comes in the next one.
    """

    kind: str
    at: float
    signal: int = signal.SIGKILL

    def __str__(self) -> str:
        return f"{signal.Signals(self.signal).name} at {self.kind} {self.at:g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run that died at `deaths` points left, against the uninterrupted one."""

    deaths: tuple[Point, ...]
    differs: bool
    asked_again: int
    lost_in_flight: int

    @property
    def good(self) -> bool:
        return not self.differs and self.asked_again == 0


@dataclass(frozen=True, slots=True)
class Reference:
    """The uninterrupted run: what it left, the digests of its calls, its seconds, and how its settings were changed."""

    left: dict[str, Any]
    answered: Counter[str]
    seconds: float
    settings: dict[str, Any]

    @property
    def calls(self) -> int:
        return self.answered.total()

    @property
    def batches(self) -> int:
        return len(self.left["batches"])


def reference(folder: Path, settings: Mapping[str, Any] | None = None) -> Reference:
    """Run once without a death, with the victim's `settings` changed."""
    folder.mkdir(parents=True)
    started = time.perf_counter()
    changes = dict(settings or {})
    code, said = finish(folder, settings=changes)
    assert code == 0, said
    return Reference(left(folder), answered(folder), time.perf_counter() - started, changes)


def points(seed: int, whole: Reference) -> Iterator[Point]:
    """Seeded moments: answers, commits, answers during commits, plain time; SIGKILL mostly, SIGTERM and Ctrl-C too."""
    draw = random.Random(seed)
    while True:
        kind = draw.choices(["call", "commit", "overlap", "time"], [5, 3, 2, 2])[0]
        sent = draw.choices([signal.SIGKILL, signal.SIGTERM, signal.SIGINT], [7, 1.5, 1.5])[0]
        if kind == "call":
            yield Point(kind, draw.randint(1, whole.calls), sent)
        elif kind == "commit":
            yield Point(kind, draw.randint(1, whole.calls // 2))
        elif kind == "overlap":
            yield Point(kind, draw.randint(1, whole.batches), sent)
        else:
            yield Point(kind, round(draw.uniform(0.0, whole.seconds), 3), sent)


def die(folder: Path, point: Point, whole: Reference, *, resume: bool) -> bool:
    """One process that is to die at `point`. False if it had done its work before."""
    kill = {"kind": point.kind, "at": point.at, "signal": point.signal}
    victim = start(folder, resume=resume, kill=None if point.kind == "time" else kill, settings=whole.settings)
    if point.kind == "time":
        time.sleep(point.at)
        if victim.poll() is None:
            victim.send_signal(point.signal)
    code, said = victim.end()
    assert code in (0, -point.signal, 130), f"{point}: exit code {code}: {said}"
    return code != 0


def judge(folder: Path, moments: Iterable[Point], whole: Reference) -> Verdict:
    """Die at each of `moments`, each time further on, until the run is done; then compare."""
    folder.mkdir(parents=True)
    deaths: list[Point] = []
    lost: Counter[str] = Counter()
    for point in moments:
        if not die(folder, point, whole, resume=has_run(folder)):
            break
        deaths.append(point)
        lost = answered(folder) - kept(folder)
    code, said = finish(folder, resume=has_run(folder), settings=whole.settings)
    assert code == 0, said
    again = answered(folder) - whole.answered
    return Verdict(tuple(deaths), left(folder) != whole.left, (again - lost).total(), lost.total())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="ace-crash-"))
    whole = reference(root / "whole")
    draw, moments = random.Random(wanted.seed), points(wanted.seed, whole)
    verdicts: list[Verdict] = []
    died = 0
    while died < wanted.points:
        deaths = tuple(next(moments) for _ in range(min(draw.choice([1, 1, 2, 3]), wanted.points - died)))
        folder = root / f"run-{died:03d}"
        verdict = judge(folder, deaths, whole)
        verdicts.append(verdict)
        died += len(deaths)
        outcome = "ok" if verdict.good else f"DIFFERS, kept in {folder}" if verdict.differs else "ASKED AGAIN"
        print(
            f"{died:4d}  {', then '.join(map(str, deaths))}: {outcome}, {verdict.lost_in_flight} in flight", flush=True
        )
        if verdict.good:
            shutil.rmtree(folder)
    differing = sum(verdict.differs for verdict in verdicts)
    again = sum(verdict.asked_again for verdict in verdicts)
    flight = sum(verdict.lost_in_flight for verdict in verdicts)
    print(
        f"{died} points in {len(verdicts)} runs of {whole.calls} calls: {differing} stores differ, "
        f"{again} kept calls were asked again, {flight} answers were lost in flight"
    )
    return int(differing > 0 or again > 0)


if __name__ == "__main__":
    sys.exit(main())
