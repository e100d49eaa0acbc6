"""The speed of an engine's steps: measured by `ace bench throughput`, or bounded by a GPU's data sheet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ace.bench.hardware.model_cost import ModelCost
from ace.errors import ConfigError

GPUS: Mapping[str, tuple[float, float]] = {
    "A100": (312e12, 2.0e12),
    "H100": (989e12, 3.35e12),
    "H200": (989e12, 4.8e12),
    "L40S": (362e12, 0.864e12),
}
"""Dense bfloat16 operations and bytes of memory a second, from NVIDIA's data sheets (SXM where there is one)."""
REACHED = 0.5
"""The share of a data sheet's figures that an engine is taken to reach. Not measured."""


@dataclass(frozen=True, slots=True)
class EngineSpeed:
    """Seconds of a step: `step_s`, and `token_s` for each token that it computes, of a prompt or of an answer.

    `slots` sequences run at once on each of `engines`. `source` says where the figures are from.
    """

    step_s: float
    token_s: float
    source: str
    engines: int = 1
    slots: int = 256

    @classmethod
    def fitted(cls, alone_s: float, together_s: float, requests: int, *, source: str, engines: int = 1) -> EngineSpeed:
        """Fit to the seconds of a step with one sequence, and of one with `requests` sequences (2 or more)."""
        token_s = max(0.0, (together_s - alone_s) / (requests - 1))
        return cls(max(0.0, alone_s - token_s), token_s, source, engines)


def measured_speed(path: Path, *, engines: int = 1) -> EngineSpeed:
    """Read the rows of vLLM in what `ace bench throughput --json` wrote.

    One sequence at a time and all at once give the two unknowns. ConfigError where the file is none of that kind.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rows = {row["mode"]: row for row in data["rows"]}
        alone, together = rows["vllm, one by one"], rows["vllm, all at once"]
        requests = int(data["requests"])
        alone_s = alone["seconds"] / alone["completion_tokens"]
        together_s = together["seconds"] / (together["completion_tokens"] / requests)
    except (OSError, ValueError, LookupError, TypeError, ZeroDivisionError) as error:
        allowed = "a file that `ace bench throughput --json FILE` wrote, with vLLM"
        raise ConfigError.at("--speed", str(path), allowed) from error
    if requests < 2:
        raise ConfigError.at("--speed", str(path), "measured with two requests or more")
    return EngineSpeed.fitted(alone_s, together_s, requests, source=f"measured, {path.name}", engines=engines)


def gpu_speed(gpus: str, cost: ModelCost, *, per_engine: int = 1) -> EngineSpeed:
    """The speed of a model of this size on `gpus`, such as `8xH100`, `per_engine` of them for each engine.

    A bound from the data sheet and a share of it that is taken to be reached: a guess, until it is measured.
    """
    match = re.fullmatch(r"(?:(\d+)x)?(\w+)", gpus)
    if match is None or match.group(2).upper() not in GPUS:
        raise ConfigError.at("--gpus", gpus, f"COUNTxKIND, with a kind of {', '.join(GPUS)}")
    count = int(match.group(1) or 1)
    if count < per_engine or count % per_engine:
        raise ConfigError.at("--gpus", gpus, f"a multiple of the {per_engine} GPUs that an engine works on")
    flops, bytes_per_s = (REACHED * per_engine * figure for figure in GPUS[match.group(2).upper()])
    return EngineSpeed(
        step_s=cost.step_bytes / bytes_per_s,
        token_s=2 * (cost.body + cost.head) / flops,
        source=f"{gpus}: data sheet, {REACHED:.0%} of it taken to be reached, not measured",
        engines=count // per_engine,
    )
