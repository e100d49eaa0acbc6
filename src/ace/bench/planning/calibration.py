"""Calibration: the speed of an engine, measured with a small grid of requests, and kept for its machine and model."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from ace._util.files import replace_file
from ace.bench.planning.engine_speed import EngineSpeed
from ace.config import ModelSettings
from ace.errors import ConfigError
from ace.inference import Backend, EngineMeter, model_path
from ace.inference.measurement_cache import keep_measurement, machine_name, read_mapping, read_measurement
from ace.types import Message, Request, Sampling

SEQUENCES = (1, 2, 4, 8, 16, 32, 64, 128)
CONTEXTS = (128, 1024)
PROMPTS = (128, 512, 2048)
"""Tokens of prompts that a step computes."""
REPETITIONS = 3
FEW, LEAST, MANY = 2, 6, 26
"""Tokens of the answers whose difference gives the seconds of a step: FEW, and LEAST to MANY for SECONDS."""
SECONDS = 1.0
ROOM = 64
"""Tokens of the context that are left for a request's own words and its answer."""

_FILE = "calibrations.json"
_SCHEMA = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": {"enum": ["left", "right"]}, "minItems": MANY}},
    "required": ["items"],
    "additionalProperties": False,
}
"""An answer that does not end within MANY tokens: the roles' answers are guided, too."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The measured speed of one engine with `model` on `machine`; the fields of `EngineSpeed`, and the day (UTC)."""

    machine: str
    model: str
    date: str
    decoding: tuple[tuple[int, int, float], ...]
    prefill: tuple[tuple[int, float], ...]
    request_s: float

    def speed(self, *, engines: int = 1) -> EngineSpeed:
        """The speed of `engines` such engines."""
        source = f"{self.model} on {self.machine}, measured {self.date}"
        return EngineSpeed(self.decoding, self.prefill, self.request_s, source, engines)


async def calibrate(
    engine: Backend,
    *,
    repetitions: int = REPETITIONS,
    most: int = SEQUENCES[-1],
    clock: Callable[[], float] | None = None,
) -> Calibration:
    """Measure the engine's steps over SEQUENCES up to `most` and over CONTEXTS, and the computing of PROMPTS.

    Answers are guided where the engine can. The engine's own seconds are measured, not those of the loop beside it.
    With `clock` the seconds are those of that clock, such as `time.process_time` on a machine that others use.
    ConfigError for an engine that does not count its steps.
    """
    if engine.meter() is None:
        allowed = "vllm: the steps of others are not counted"
        raise ConfigError.at("models.*.provider", engine.info.provider, allowed)
    room = (engine.info.max_model_len or CONTEXTS[-1]) - ROOM
    probe = _Probe(engine, repetitions, clock)
    contexts = [length for length in CONTEXTS if length < room] or [room // 2]
    sequences = [number for number in SEQUENCES if number <= most]
    decoding: list[tuple[int, int, float]] = []
    for length in contexts:
        steps = [await probe.step(number, length) for number in sequences]
        # A step is not slower than one with more sequences: what says so was disturbed.
        least = accumulate((step.step_s for step in reversed(steps)), min)
        decoding += [(number, length, step_s) for number, step_s in zip(sequences, reversed([*least]), strict=True)]
    prompts = [await probe.prompt(tokens) for tokens in [tokens for tokens in PROMPTS if tokens < room] or [room]]
    prefill = tuple((tokens, max(0.0, seconds - decoding[0][2])) for tokens, seconds in prompts)
    calibration = Calibration(
        machine=machine_name(),
        model=Path(engine.info.model).name,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        decoding=tuple(decoding),
        prefill=prefill,
        request_s=0.0,
    )
    taking_in_s = steps[-1].first_s - calibration.speed().prefill_s(steps[-1].computed)
    return replace(calibration, request_s=max(0.0, taking_in_s) / sequences[-1])


@dataclass(frozen=True, slots=True)
class _Step:
    """Seconds of a step, and what the first one took beyond that: taking requests in, and their `computed` tokens."""

    step_s: float
    first_s: float
    computed: int


class _Probe:
    """Requests of a known size, each with words of its own. The fastest of the `repetitions` counts."""

    def __init__(self, engine: Backend, repetitions: int, clock: Callable[[], float] | None) -> None:
        self._engine, self._repetitions, self._clock = engine, repetitions, clock
        self._rng = random.Random(0)
        self._number = 0
        self._prefixes: dict[int, str] = {}

    async def step(self, sequences: int, context: int) -> _Step:
        """A step of `sequences` answers behind a shared prefix of `context` tokens that is cached."""
        if context not in self._prefixes:
            self._prefixes[context] = self._text(context)
            await self._answers(1, context, MANY)  # the cache is filled, and the grammar compiled
        few, computed = await self._least(sequences, context, FEW)
        tokens = min(MANY, max(LEAST, FEW + round(SECONDS / (few.step_s / few.steps))))
        many, _ = await self._least(sequences, context, tokens)
        step_s = max(0.0, many.step_s - few.step_s) / (many.steps - few.steps)
        return _Step(step_s, max(0.0, few.step_s - few.steps * step_s), computed)

    async def prompt(self, tokens: int) -> tuple[int, float]:
        """Tokens of a prompt that no cache has, and the seconds of its only step."""
        return min([await self._compute(tokens) for _ in range(self._repetitions)], key=lambda one: one[1])

    async def _least(self, sequences: int, context: int, tokens: int) -> tuple[EngineMeter, int]:
        measured = [await self._answers(sequences, context, tokens) for _ in range(self._repetitions)]
        return min(measured, key=lambda one: one[0].step_s)

    async def _answers(self, sequences: int, context: int, tokens: int) -> tuple[EngineMeter, int]:
        started = self._meter()
        computed = await asyncio.gather(*(self._ask(self._prefixes[context], tokens) for _ in range(sequences)))
        return self._meter() - started, sum(computed)

    async def _compute(self, tokens: int) -> tuple[int, float]:
        started = self._meter()
        computed = await self._ask(self._text(tokens), 1)
        return computed, (self._meter() - started).step_s

    async def _ask(self, prefix: str, tokens: int) -> int:
        """Answer one request, and return how many tokens of its prompt were computed."""
        self._number += 1
        messages = (Message("system", prefix), Message("user", f"{self._number:05d}"))
        guided = self._engine.info.structured_outputs
        sampling = Sampling(max_tokens=tokens, temperature=0.0, top_p=1.0, ignore_eos=not guided)
        answer = await self._engine.complete(Request(messages, sampling, schema=_SCHEMA if guided else None))
        return answer.usage.prompt_tokens - answer.usage.cached_tokens

    def _text(self, tokens: int) -> str:
        """Random numbers that are about so many tokens. Numbers are in every vocabulary, words are not."""
        sample = self._numbers(256)
        return self._numbers(max(1, round(256 * tokens / self._engine.count_tokens(sample))))

    def _numbers(self, count: int) -> str:
        return " ".join(f"{self._rng.randrange(1000):03d}" for _ in range(count))

    def _meter(self) -> EngineMeter:
        meter = self._engine.meter()
        assert meter is not None
        return meter if self._clock is None else replace(meter, step_s=self._clock())


def find_calibration(model: ModelSettings) -> Calibration | None:
    """The kept calibration of this model on this machine, None where there is none."""
    return _calibration(read_measurement(_FILE, model, model_path(model.model)))


def keep_calibration(model: ModelSettings, calibration: Calibration) -> Path:
    """Put it beside those of other models and machines, and return the file."""
    return keep_measurement(_FILE, model, model_path(model.model), asdict(calibration))


def read_calibration(path: Path) -> Calibration:
    """Read what `write_calibration` wrote. ConfigError for anything else."""
    calibration = _calibration(read_mapping(path))
    if calibration is None:
        raise ConfigError.at("--calibration", str(path), "a file that `ace plan --calibrate --calibration FILE` wrote")
    return calibration


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write it to a file of its own, for plans on other machines."""
    replace_file(path, json.dumps(asdict(calibration), indent=1) + "\n")


def _calibration(stored: Any) -> Calibration | None:
    try:
        decoding = _triples(stored["decoding"])
        prefill = tuple((int(tokens), float(seconds)) for tokens, seconds in stored["prefill"])
        machine, model, date = (str(stored[name]) for name in ("machine", "model", "date"))
        if not decoding or not prefill:
            return None
        return Calibration(machine, model, date, decoding, prefill, float(stored["request_s"]))
    except (KeyError, TypeError, ValueError):
        return None


def _triples(stored: Sequence[Any]) -> tuple[tuple[int, int, float], ...]:
    return tuple((int(sequences), int(context), float(seconds)) for sequences, context, seconds in stored)
