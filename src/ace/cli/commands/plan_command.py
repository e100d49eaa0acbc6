"""`ace plan`: what a run would take, before it is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ace.cli.options import JsonPath, Overrides
from ace.cli.terminal import show


def plan(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's YAML config.", show_default=False)],
    samples: Annotated[int, typer.Option("--samples", min=1, help="Training samples of the run.", show_default=False)],
    pilot: Annotated[
        str, typer.Option("--pilot", metavar="RUN", help="A run of the same config on a few samples.")
    ] = "latest",
    speed: Annotated[
        Path | None,
        typer.Option(
            "--speed",
            metavar="FILE",
            dir_okay=False,
            help="What `ace bench throughput --json FILE` measured with the model.",
            show_default=False,
        ),
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option("--gpus", metavar="NxKIND", help="GPUs such as 8xH100, by their data sheet.", show_default=False),
    ] = None,
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
    json_path: JsonPath = None,
) -> None:
    """Estimate time, tokens, money and the bottleneck of a run from a pilot run and the engine's measured speed."""
    from rich.table import Table

    from ace._util.files import replace_file
    from ace.bench.hardware.model_cost import ModelCost
    from ace.bench.planning.engine_speed import gpu_speed, measured_speed
    from ace.bench.planning.run_plan import plan_rows, plan_run
    from ace.bench.planning.workload import Workload
    from ace.config import load_settings
    from ace.errors import ConfigError
    from ace.inference import model_path
    from ace.reporting.text import cell
    from ace.store import RunStore

    settings = load_settings(config, overrides)
    model = settings.models[settings.roles.generator.model]
    if speed is not None and gpus is not None:
        raise ConfigError.at("--gpus", gpus, "not supported with --speed, which was measured on the engine's own")
    if speed is not None:
        engine = measured_speed(speed, engines=model.replicas)
    elif gpus is not None:
        folder = Path(model_path(model.model))
        if not (folder / "config.json").is_file() or (cost := ModelCost.of(folder)) is None:
            raise ConfigError.at("models.*.model", model.model, "a folder with a dense model, with --gpus")
        engine = gpu_speed(gpus, cost, per_engine=model.gpus_per_engine)
    elif model.provider == "openai":
        engine = None
    else:
        raise ConfigError.at("--speed", None, "a file of `ace bench throughput --json`, or --gpus NxKIND")
    with RunStore.open(settings.store, create=False) as store:
        workload = Workload.of(store, store.resolve(pilot))
    planned = plan_run(settings, workload, engine, samples)
    if json_path is not None:
        replace_file(json_path, json.dumps(planned.to_json(), indent=2, ensure_ascii=False) + "\n")
    table = Table.grid(padding=(0, 3))
    for name, text in plan_rows(planned):
        table.add_row(name, cell(text, limit=400))
    show(table)
