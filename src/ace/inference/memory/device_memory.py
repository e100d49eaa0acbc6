"""Division of a device's memory among the engines of one run, by the size of their models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ace.errors import ConfigError

DEFAULT_UTILIZATION = 0.9
"""Share of a GPU's memory, unless a model asks for more."""

ENGINE_BYTES = 1 << 30
"""Memory of an engine on a GPU besides weights and KV cache: kernels, activations, graphs."""


@dataclass(frozen=True, slots=True)
class MemoryRequest:
    """Memory that one engine needs of a device.

    `weights` are bytes, `demand` bytes of KV cache for a token of each role that the model plays. `utilization` is the
    model's own `gpu_memory_utilization`, None where it is derived.
    """

    name: str
    weights: int
    demand: int
    utilization: float | None = None


def utilizations(requests: Sequence[MemoryRequest], device_bytes: int) -> dict[str, float]:
    """`gpu_memory_utilization` of every engine on a GPU of `device_bytes`.

    Values that are set are kept. The others divide the rest of the largest value set, or of 0.9: each gets its weights
    and 1 GiB, and of the rest, which is KV cache, a part in proportion to its demand, so that all hold equally many
    tokens for a role. ConfigError where the values exceed 1 together, or the others do not fit.
    """
    fixed = {request.name: request.utilization for request in requests if request.utilization is not None}
    total = sum(fixed.values())
    if total > 1.0 + 1e-9:
        key, value = max(fixed.items(), key=lambda item: item[1])
        together = " + ".join(f"{share:g}" for share in fixed.values())
        raise ConfigError.at(
            f"models.{key}.gpu_memory_utilization", value, f"at most 1 with the other models' ({together} = {total:g})"
        )
    derived = [request for request in requests if request.utilization is None]
    if not derived:
        return fixed
    pool = int((max(DEFAULT_UTILIZATION, *fixed.values(), 0.0) - total) * device_bytes)
    needed = sum(request.weights + ENGINE_BYTES for request in derived)
    if needed >= pool:
        largest = max(derived, key=lambda request: request.weights)
        raise ConfigError.at(
            f"models.{largest.name}",
            f"models that need {_gib(needed)} without a KV cache: {', '.join(request.name for request in derived)}",
            f"what fits into {_gib(max(pool, 0))} of the GPU's {_gib(device_bytes)}",
        )
    parts = _in_proportion(pool - needed, derived)
    return fixed | {
        request.name: (request.weights + ENGINE_BYTES + parts[request.name]) / device_bytes for request in derived
    }


def cache_shares(requests: Sequence[MemoryRequest]) -> dict[str, float]:
    """The part of a CPU's memory for KV caches that each engine may take: in proportion to its demand, 1 together."""
    return _in_proportion(1.0, requests)


def _in_proportion(whole: float, requests: Sequence[MemoryRequest]) -> dict[str, float]:
    demands: Mapping[str, int] = {request.name: max(1, request.demand) for request in requests}
    total = sum(demands.values())
    return {name: whole * demand / total for name, demand in demands.items()}


def _gib(count: float) -> str:
    return f"{count / (1 << 30):.1f} GiB"
