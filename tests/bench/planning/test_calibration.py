"""Calibration, against an engine whose steps have a known price."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ace.bench.planning.calibration import (
    Calibration,
    calibrate,
    find_calibration,
    keep_calibration,
    read_calibration,
    write_calibration,
)
from ace.config import ModelSettings
from ace.errors import ConfigError
from ace.inference import BackendInfo, EngineMeter
from ace.types import Completion, Request, Usage

STEP_S, SEQUENCE_S, CONTEXT_S, PROMPT_S, REQUEST_S = 1.0, 0.1, 0.0001, 0.01, 0.5
MODEL = ModelSettings(provider="vllm", model="steps")


class SteppedEngine:
    """Answers whoever asks in the same turn of the loop in common steps, with a clock of its own. A word is a token."""

    def __init__(self, *, counted: bool = True) -> None:
        self.info = BackendInfo("scripted", "steps", "cpu", 4096, structured_outputs=True, start_s=0.0)
        self._counted = counted
        self._meter = EngineMeter()
        self._cached: set[str] = set()
        self._asked: list[tuple[Request, asyncio.Future[Completion]]] = []

    async def complete(self, request: Request) -> Completion:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Completion] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._step)
        self._asked.append((request, answer))
        return await answer

    def _step(self) -> None:
        asked, self._asked = self._asked, []
        steps = asked[0][0].sampling.max_tokens
        computed = context = 0
        for request, answer in asked:
            prefix, own = (len(message.content.split()) for message in request.messages)
            cached = prefix if request.messages[0].content in self._cached else 0
            self._cached.add(request.messages[0].content)
            computed += prefix + own - cached
            context += prefix + own
            usage = Usage(prefix + own, cached, steps)
            answer.set_result(Completion("", "length", usage, "steps"))
        step_s = STEP_S + SEQUENCE_S * len(asked) + CONTEXT_S * context
        seconds = steps * step_s + PROMPT_S * computed + REQUEST_S * len(asked)
        self._meter += EngineMeter(steps, seconds)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def meter(self) -> EngineMeter | None:
        return self._meter if self._counted else None

    async def close(self) -> None:
        return None


def test_the_engine_s_prices_are_found() -> None:
    speed = asyncio.run(calibrate(SteppedEngine())).speed(engines=2)
    assert speed.engines == 2
    for sequences, context in ((1, 128), (16, 128), (5, 600), (40, 2000)):
        expected = STEP_S + SEQUENCE_S * sequences + CONTEXT_S * sequences * context
        assert speed.step_s(sequences, context) == pytest.approx(expected, rel=0.05)
    assert speed.prefill_s(1000) == pytest.approx(1000 * PROMPT_S, rel=0.1)
    assert speed.request_s == pytest.approx(REQUEST_S, rel=0.1)


def test_an_engine_that_counts_no_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"models\.\*\.provider.*scripted.*vllm"):
        asyncio.run(calibrate(SteppedEngine(counted=False)))


MEASURED = Calibration("machine", "steps", "2026-11-26", ((1, 128, 0.5), (2, 128, 0.6)), ((100, 0.2),), 0.001)


def test_a_calibration_is_kept_for_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert find_calibration(MODEL) is None
    other = ModelSettings(provider="vllm", model="others")
    file = keep_calibration(MODEL, MEASURED)
    keep_calibration(other, Calibration("machine", "others", "2026-11-26", ((1, 8, 1.0),), ((8, 1.0),), 0.0))
    assert file.is_relative_to(tmp_path)
    assert find_calibration(MODEL) == MEASURED


def test_a_calibration_travels_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    write_calibration(path, MEASURED)
    assert read_calibration(path) == MEASURED
    for broken in ("", "[]", "{}", '{"decoding": [[1, 2]]}'):
        path.write_text(broken)
        with pytest.raises(ConfigError, match="--calibration"):
            read_calibration(path)
