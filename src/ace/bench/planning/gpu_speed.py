"""The speed of an engine on GPUs that are not here, from their data sheets and what an H100 reached of its own.

Measured with a model of Qwen2.5-7B's shape: benchmarks/results/2026-11-26-concurrency-7b-h100.md and
2026-11-26-replay-7b-h100.md. For other kinds the same shares are taken to be reached.
"""

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
COMPUTED, READ = 0.76, 0.886
"""The shares of these that matrix products and reading reached on the H100."""
STEP_S, SEQUENCE_S = 1.7e-3, 5.4e-6
"""What a step and each sequence in it took beyond products and reading. With them the formula is within 3% of all
measured points up to 64 sequences; 8% too low and 19% too high at 256 behind 400 and 4,000 tokens."""
SEQUENCES, CONTEXTS = (1, 1024), (1, 32768)
"""Corners between which a step's time is worked out: it is linear in both."""
PROMPT = 8192
SLOTS = 256
"""Sequences that vLLM runs at once on a GPU."""


def gpu_speed(gpus: str, cost: ModelCost, *, per_engine: int = 1) -> EngineSpeed:
    """The speed of a model of this size on `gpus`, such as `8xH100`, `per_engine` of them for each engine.

    A step reads the weights and the running sequences' keys and values, and computes its tokens; none of it overlaps.
    GPUs of one engine are taken to divide both without loss.
    """
    match = re.fullmatch(r"(?:(\d+)x)?(\w+)", gpus)
    kind = match.group(2).upper() if match else ""
    if match is None or kind not in GPUS:
        raise ConfigError.at("--gpus", gpus, f"COUNTxKIND, with a kind of {', '.join(GPUS)}")
    count = int(match.group(1) or 1)
    if count < per_engine or count % per_engine:
        raise ConfigError.at("--gpus", gpus, f"a multiple of the {per_engine} GPUs that an engine works on")
    flops, bytes_per_s = (per_engine * figure for figure in GPUS[kind])

    def step_s(sequences: int, context: int) -> float:
        read = cost.step_bytes + sequences * context * cost.kv_bytes
        computed = sequences * (2 * (cost.body + cost.head) + cost.attention(context))
        return STEP_S + sequences * SEQUENCE_S + read / (READ * bytes_per_s) + computed / (COMPUTED * flops)

    other = "" if kind == "H100" else ", of which it is taken to reach what an H100 did"
    return EngineSpeed(
        decoding=tuple((number, length, step_s(number, length)) for number in SEQUENCES for length in CONTEXTS),
        prefill=((PROMPT, 2 * cost.body * PROMPT / (COMPUTED * flops)),),
        request_s=0.0,
        source=f"{gpus} by its data sheet and shares measured with a 7B model on one H100, 2026-11-26{other}",
        engines=count // per_engine,
        slots=SLOTS,
    )
