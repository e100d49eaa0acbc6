"""How the engines of one run divide the memory of a device, from the size of their models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ace.errors import ConfigError

DEFAULT_UTILIZATION = 0.9
"""Of a GPU's memory, where no model asks for more."""

ENGINE_BYTES = 1 << 30
"""What an engine takes on a GPU besides weights and KV cache: kernels, activations, graphs."""


@dataclass(frozen=True, slots=True)
class MemoryRequest:
    """What one engine asks of a device: bytes of weights, and bytes of KV cache for a token of each role it plays.

    `asked` is the model's own `gpu_memory_utilization`, None where it is to be derived. Of the engines that `sleeps`
    marks, one at a time has the device.
    """

    name: str
    weights: int
    demand: int
    asked: float | None = None
    sleeps: bool = False


def utilizations(claims: Sequence[MemoryRequest], device_bytes: int) -> dict[str, float]:
    """`gpu_memory_utilization` of every engine on a GPU of `device_bytes`.

    What was asked is kept. The others divide what is left of the largest value asked, or of 0.9: each gets its weights
    and 1 GiB, and of the rest, which is KV cache, a part in proportion to its demand, so that all hold equally many
    tokens for a role. Those that sleep share one part, which is that of the largest and 1 GiB for each that is asleep.
    ConfigError where the asked values exceed 1 together, or the others do not fit.
    """
    sleepers = [claim for claim in claims if claim.sleeps]
    if len(sleepers) > 1:
        asleep = (len(sleepers) - 1) * ENGINE_BYTES
        one = _largest(sleepers, asleep)
        shares = utilizations([*(claim for claim in claims if not claim.sleeps), one], device_bytes)
        part = shares.pop(one.name) - (asleep / device_bytes if one.asked is None else 0.0)
        return shares | {claim.name: claim.asked or part for claim in sleepers}
    asked = {claim.name: claim.asked for claim in claims if claim.asked is not None}
    fixed = sum(asked.values())
    if fixed > 1.0 + 1e-9:
        key, value = max(asked.items(), key=lambda item: item[1])
        together = " + ".join(f"{share:g}" for share in asked.values())
        raise ConfigError.at(
            f"models.{key}.gpu_memory_utilization", value, f"at most 1 with the other models' ({together} = {fixed:g})"
        )
    derived = [claim for claim in claims if claim.asked is None]
    if not derived:
        return asked
    pool = int((max(DEFAULT_UTILIZATION, *asked.values(), 0.0) - fixed) * device_bytes)
    needed = sum(claim.weights + ENGINE_BYTES for claim in derived)
    if needed >= pool:
        largest = max(derived, key=lambda claim: claim.weights)
        raise ConfigError.at(
            f"models.{largest.name}",
            f"models that need {_gib(needed)} without a KV cache: {', '.join(claim.name for claim in derived)}",
            f"what fits into {_gib(max(pool, 0))} of the GPU's {_gib(device_bytes)}",
        )
    parts = _in_proportion(pool - needed, derived)
    return asked | {claim.name: (claim.weights + ENGINE_BYTES + parts[claim.name]) / device_bytes for claim in derived}


def _largest(sleepers: Sequence[MemoryRequest], asleep: int) -> MemoryRequest:
    """What engines of which one is awake at a time ask for, beside `asleep` bytes that the others keep."""
    named = max(sleepers, key=lambda claim: (claim.asked or 0.0, claim.weights))
    weights, demand = max(claim.weights for claim in sleepers), max(claim.demand for claim in sleepers)
    return MemoryRequest(named.name, weights + asleep, demand, named.asked)


def cache_shares(claims: Sequence[MemoryRequest]) -> dict[str, float]:
    """The part of a CPU's memory for KV caches that each engine may take: in proportion to its demand, 1 together."""
    return _in_proportion(1.0, claims)


def _in_proportion(whole: float, claims: Sequence[MemoryRequest]) -> dict[str, float]:
    demands: Mapping[str, int] = {claim.name: max(1, claim.demand) for claim in claims}
    total = sum(demands.values())
    return {name: whole * demand / total for name, demand in demands.items()}


def _gib(count: float) -> str:
    return f"{count / (1 << 30):.1f} GiB"
