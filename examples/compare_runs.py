"""Two runs on the same samples: the difference, its interval, and how sure it is.

Both models are scripted, so that the example runs anywhere: one learns right rules of the micro world alone, the other
learns a wrong one from every second right answer. `ace compare RUN_A RUN_B` does the same for runs of a store.

    python examples/compare_runs.py
"""

from __future__ import annotations

import asyncio
import tempfile

from ace import RunStore, ScriptedBackend, run, settings_from
from ace.experiments import compare_evaluations, evaluated
from ace.tasks.micro.scripted_model import ScriptedMicroModel


def adapt(store: str, name: str, model: ScriptedMicroModel) -> str:
    """The id of a finished run in which `model` plays all three roles."""
    settings = settings_from(
        {
            "name": name,
            "store": store,
            "task": {"name": "micro", "micro": {"seed": 3}},
            "models": {"main": {"provider": "scripted", "model": name}},
            "prompts": "micro",
            "adaptation": {"batch_size": 8, "epochs": 1},
        }
    )
    return asyncio.run(run(settings, backends={"main": ScriptedBackend(model)})).run


def main(store: str) -> None:
    careful = adapt(store, "careful", ScriptedMicroModel())
    careless = adapt(store, "careless", ScriptedMicroModel(slips=0.5))
    with RunStore.open(store) as opened:
        (comparison,) = compare_evaluations(evaluated(opened, careful), [evaluated(opened, careless)])
    test = comparison.test
    print(f"{comparison.a.mean:.1%} and {comparison.b.mean:.1%} of {test.n} samples")
    print(f"difference {test.difference:+.1%}, interval {test.interval.low:+.1%} to {test.interval.high:+.1%}")
    print(f"p = {test.p:.2g} ({test.test}); {len(comparison.disagreements)} samples differ")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(f"sqlite:///{folder}/ace.db")
