"""Curves for GPUs that are not here: a recorded run's calls, simulated with a model of another size on `--gpus`.

    python -m benchmarks.scale.gpu_curves CONFIG --store URL --model FOLDER --gpus H100 --measured 32x16=6.28 --json F

`--measured SAMPLESxBATCH=SECONDS` is what the same calls took on such a GPU, for comparison. CONFIG is the recorded
run's, FOLDER has the config.json of the model. `benchmarks/scale/plan_curves.py` draws the result.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict
from pathlib import Path

from ace._util.files import replace_file
from ace.bench.hardware.model_cost import ModelCost
from ace.bench.planning.gpu_speed import gpu_speed
from ace.bench.planning.pilot import Pilot
from ace.bench.planning.run_plan import replay_run
from ace.config import load_settings
from ace.store import RunStore
from benchmarks.scale.curves import simulate_curves


def main() -> None:
    """Simulate, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--store", required=True)
    parser.add_argument("--run", default="latest")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--gpus", required=True)
    parser.add_argument("--measured", required=True)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    match = re.fullmatch(r"(\d+)x(\d+)=([\d.]+)", options.measured)
    cost = ModelCost.of(options.model)
    if match is None or cost is None:
        parser.error("--measured is SAMPLESxBATCH=SECONDS, and --model a folder with a dense model")
    samples, batch, measured_s = int(match[1]), int(match[2]), float(match[3])
    settings = load_settings(options.config, [f"store={options.store}"])
    with RunStore.open(settings.store, create=False) as store:
        pilot = Pilot.of(store, store.resolve(options.run))
    speed = gpu_speed(options.gpus, cost)
    curves = simulate_curves(settings, pilot, speed, [(samples, batch), (samples, 1), (16 * samples, 8 * batch)])
    result = {
        "rows": [
            {"samples": samples, "batch": batch, "measured_s": measured_s, "replayed_s": replay_run(pilot, speed)}
        ],
        "curves": {name: [asdict(point) for point in points] for name, points in curves.items()},
        "source": speed.source,
    }
    replace_file(options.json, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
