"""The speed of an engine on GPUs that are not at hand, from their data sheet and a share of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ace.bench.hardware.model_cost import ModelCost
from ace.bench.planning.engine_speed import EngineSpeed
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
SEQUENCES, CONTEXTS = (1, 1024), (1, 32768)
"""Corners between which a step's time is worked out: it is linear in both."""
PROMPT = 8192
SLOTS = 256
"""Sequences that vLLM runs at once on a GPU."""


def gpu_speed(gpus: str, cost: ModelCost, *, per_engine: int = 1) -> EngineSpeed:
    """The speed of a model of this size on `gpus`, such as `8xH100`, `per_engine` of them for each engine.

    A step reads the weights and the running sequences' keys and values, and computes its tokens; none of it overlaps.
    """
    match = re.fullmatch(r"(?:(\d+)x)?(\w+)", gpus)
    if match is None or match.group(2).upper() not in GPUS:
        raise ConfigError.at("--gpus", gpus, f"COUNTxKIND, with a kind of {', '.join(GPUS)}")
    count = int(match.group(1) or 1)
    if count < per_engine or count % per_engine:
        raise ConfigError.at("--gpus", gpus, f"a multiple of the {per_engine} GPUs that an engine works on")
    flops, bytes_per_s = (REACHED * per_engine * figure for figure in GPUS[match.group(2).upper()])

    def step_s(sequences: int, context: int) -> float:
        read = cost.step_bytes + sequences * context * cost.kv_bytes
        computed = sequences * (2 * (cost.body + cost.head) + cost.attention(context))
        return read / bytes_per_s + computed / flops

    return EngineSpeed(
        decoding=tuple((number, length, step_s(number, length)) for number in SEQUENCES for length in CONTEXTS),
        prefill=((PROMPT, 2 * cost.body * PROMPT / flops),),
        request_s=0.0,
        source=f"{gpus}: data sheet, {REACHED:.0%} of it taken to be reached, not measured",
        engines=count // per_engine,
        slots=SLOTS,
    )
