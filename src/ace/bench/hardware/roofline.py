"""Lower bound of the time that a mode's work takes on this machine.

Two rates are measured first: operations a second in matrix products, and bytes a second that weights are read with.

The roofline model (Williams, Waterman, Patterson, 2009): a step takes at least as long as its products, and as reading
the weights once. Of a whole run only totals are known, so that the bound is the larger of all products and all
reading: never too high, and too low where some steps are ruled by the one and some by the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ace.bench.hardware.engine_threads import parallel_speedup, set_engine_threads
from ace.bench.hardware.isolated_process import isolated
from ace.bench.hardware.model_cost import Load, ModelCost
from ace.bench.markdown_tables import table
from ace.inference import model_path
from ace.inference.precision import default_dtype
from ace.types import Usage

ROWS = {"cpu": 256, "cuda": 8192}
"""Tokens at once, enough for a kernel to be at its best."""

MOST_COLUMNS = 1 << 14
"""Columns of the head that are measured: a larger vocabulary has the same speed, and takes a CPU seconds."""

MOST_BYTES = 1 << 30
"""Read at once: far more than any cache holds."""

SECONDS = 0.5
"""For each product and each block of memory."""


@dataclass(frozen=True, slots=True)
class Roofline:
    """Operations a second in matrix products of the model's dtype, and bytes a second when its weights are read."""

    flops_per_s: float
    bytes_per_s: float

    def products_s(self, load: Load) -> float:
        """Seconds of the products and of attention at the rate of the best product."""
        return load.flops / self.flops_per_s

    def reading_s(self, load: Load) -> float:
        """Seconds of reading the weights once a step."""
        return load.read_bytes / self.bytes_per_s


@dataclass(frozen=True, slots=True)
class ModelCalls:
    """Calls of one model, a name or a folder.

    `steps` None: nobody counted. `draft` is the one that guessed. `engines` of the model worked side by side, and
    `steps` are those of all of them.
    """

    model: str
    usages: tuple[Usage, ...]
    steps: int | None
    draft: str | None = None
    engines: int = 1


@dataclass(frozen=True, slots=True)
class Bound:
    """One mode against the hardware.

    Tokens computed, steps (None: not counted), the least seconds, and which share (`reached`) of the `seconds` that
    were measured these are. `engines` worked side by side.
    """

    tokens: int
    steps: int | None
    products_s: float
    reading_s: float
    least_s: float
    seconds: float
    reached: float
    engines: int = 1

    @property
    def left_step_s(self) -> float | None:
        """Seconds that a step took besides its share of the least."""
        return None if self.steps is None else (self.seconds - self.least_s) * self.engines / self.steps

    @classmethod
    def of(
        cls, loads: Sequence[tuple[Load, Roofline]], seconds: float, engines: int = 1, parallel_speedup: float = 1.0
    ) -> Bound:
        """Add up the least times of models that work in turn, as vLLM's engines of one process do.

        Side by side, `engines` of each can do `parallel_speedup` as much as one.
        """
        products = [roofline.products_s(load) / parallel_speedup for load, roofline in loads]
        reading = [roofline.reading_s(load) / parallel_speedup for load, roofline in loads]
        least = sum(map(max, products, reading))
        tokens, steps = sum(load.tokens for load, _ in loads), sum(load.steps for load, _ in loads)
        return cls(tokens, steps or None, sum(products), sum(reading), least, seconds, least / seconds, engines)


class Ceiling:
    """Costs of models, and their rooflines with `threads` threads.

    Measured once for each shape, in a process of its own, when a model of it is first asked for.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._measured: dict[ModelCost, Roofline] = {}
        self._names: dict[str, ModelCost] = {}

    @property
    def rooflines(self) -> dict[str, Roofline]:
        """Measured models, by their names or their folders' names."""
        return {name: self._measured[cost] for name, cost in self._names.items()}

    def bound(self, model_calls: Iterable[ModelCalls], seconds: float) -> Bound | None:
        """The least time of these calls, against the `seconds` measured. None where a model's cost is not known."""
        loads: list[tuple[Load, Roofline]] = []
        engines = 1
        for one in model_calls:
            engines = max(engines, one.engines)
            if (measured := self._of(one.model)) is None:
                return None
            cost, roofline = measured
            loads.append((cost.answered(one.usages, one.steps), roofline))
            if one.draft is not None:
                if (measured := self._of(one.draft)) is None:
                    return None
                cost, roofline = measured
                loads.append((cost.guessed(one.usages), roofline))
        return Bound.of(loads, seconds, engines, parallel_speedup(engines, self._threads))

    def _of(self, model: str) -> tuple[ModelCost, Roofline] | None:
        cost = ModelCost.of(Path(model_path(model)), default_dtype())
        if cost is None:
            return None
        if cost not in self._measured:
            self._measured[cost] = measure_roofline(cost, self._threads)
        self._names[Path(model).name] = cost
        return cost, self._measured[cost]


def measure_roofline(cost: ModelCost, threads: int) -> Roofline:
    """Measure the roofline of a model of this shape here, in a process of its own. Takes some seconds."""
    return isolated(_measure, cost, threads)


def _measure(cost: ModelCost, threads: int) -> Roofline:
    set_engine_threads(threads)
    return roofline_here(cost, SECONDS)


def roofline_here(cost: ModelCost, seconds: float) -> Roofline:
    """In this process, on its GPU where there is one.

    Each rate is the best over several shapes or sizes, and over as many repetitions as `seconds` allow: what disturbs a
    measurement makes it slower, and a ceiling must not be too low.

    Memory is summed up and not multiplied with a vector: torch's products of one row read less than half as fast.
    """
    torch: Any = import_module("torch")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    wait: Callable[[], None] = torch.cuda.synchronize if device == "cuda" else _nothing
    matrices = (*cost.layer, (cost.hidden, min(cost.vocabulary, MOST_COLUMNS)))
    # a GPU reads a small model in less time than the launch of the kernel takes
    blocks = {min(cost.step_bytes, MOST_BYTES)} | ({MOST_BYTES} if device == "cuda" else set())

    def product(inputs: int, outputs: int) -> float:
        dtype = getattr(torch, cost.dtype)
        rows = torch.randn(ROWS[device], inputs, device=device).to(dtype)
        weights = torch.randn(outputs, inputs, device=device).to(dtype)
        taken = _least_seconds(lambda: torch.nn.functional.linear(rows, weights), wait, seconds)
        return 2 * ROWS[device] * inputs * outputs / taken

    def reading(size: int) -> float:
        buffer = torch.ones(size // 4, dtype=torch.float32, device=device)
        return size / _least_seconds(buffer.sum, wait, seconds)

    with torch.inference_mode():
        return Roofline(max(product(*matrix) for matrix in matrices), max(map(reading, blocks)))


def _least_seconds(work: Callable[[], object], wait: Callable[[], None], seconds: float) -> float:
    """The least seconds of three repetitions or more, after two that warm up."""
    for _ in range(2):
        work()
    wait()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < end:
        began = time.perf_counter()
        work()
        wait()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _nothing() -> None:
    """A CPU's work is done when it returns."""


def against_hardware(bounds: Mapping[str, Bound | None], rooflines: Mapping[str, Roofline]) -> tuple[str, str]:
    """A table of modes, and the sentences that belong below it."""
    columns = (
        "against the hardware",
        "tokens computed",
        "steps",
        "products s",
        "reading weights s",
        "least s (roofline)",
        "reached",
        "left: ms a step",
    )
    rates = "; ".join(
        f"{name} {rate.flops_per_s / 1e9:.0f} GFLOP/s in {default_dtype()} products,"
        f" {rate.bytes_per_s / 1e9:.1f} GB/s reading"
        for name, rate in rooflines.items()
    )
    text = (
        f"Measured here, each for a model of its size: {rates}. The least is the larger of all products and of reading"
        " the weights once a step. What is left is everything else: Python and the launching of kernels, what kernels"
        " lose on few rows and in attention, products and reading that do not overlap, the KV cache, padding, sampling,"
        " waiting."
    )
    return table(columns, [(mode, *_cells(bound)) for mode, bound in bounds.items()]), text


def _cells(bound: Bound | None) -> tuple[str, ...]:
    if bound is None:
        return ("-",) * 7
    steps = bound.steps
    return (
        str(bound.tokens),
        "-" if steps is None else str(steps),
        f"{bound.products_s:.3f}",
        "-" if steps is None else f"{bound.reading_s:.3f}",
        f"{bound.least_s:.3f}",
        f"{bound.reached:.1%}",
        "-" if bound.left_step_s is None else f"{bound.left_step_s * 1e3:.2f}",
    )
