"""Calibration, against an engine whose steps have a known price."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from stepped_engine import CONTEXT_S, PROMPT_S, REQUEST_S, SEQUENCE_S, STEP_S, SteppedEngine

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

MODEL = ModelSettings(provider="vllm", model="steps")


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
