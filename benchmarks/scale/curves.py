"""Simulated runs along the number of samples, the batch size and the number of engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ace.bench.planning.engine_speed import EngineSpeed
from ace.bench.planning.pilot import Pilot
from ace.bench.planning.run_plan import plan_run
from ace.config import RunSettings

SAMPLES = (16, 32, 64, 128, 256, 512, 1024, 4096)
BATCHES = (1, 4, 16, 64, 256)
ENGINES = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A run that was simulated only."""

    samples: int
    batch: int
    engines: int
    seconds: float


def simulate_curves(
    settings: RunSettings, pilot: Pilot, speed: EngineSpeed, cases: Sequence[tuple[int, int]]
) -> dict[str, tuple[CurvePoint, ...]]:
    """Simulated runs around the measured ones: along samples, along batch sizes and along engines."""

    def point(samples: int, batch: int, engines: int = 1) -> CurvePoint:
        adaptation = settings.adaptation.model_copy(update={"batch_size": batch})
        changed = settings.model_copy(update={"adaptation": adaptation})
        planned = plan_run(changed, pilot, replace(speed, engines=engines), samples)
        return CurvePoint(samples, batch, engines, planned.adapt_s)

    batches = sorted({batch for _, batch in cases})
    sizes = sorted({samples for samples, _ in cases})
    return {
        "samples": tuple(point(samples, batch) for batch in batches for samples in SAMPLES if samples >= batch),
        "batch": tuple(point(samples, batch) for samples in sizes for batch in BATCHES if batch <= samples),
        "engines": tuple(point(max(SAMPLES), batch, engines) for batch in BATCHES[2:] for engines in ENGINES),
    }
