"""`ace plan`: what a run would take, before it is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.options import JsonPath, Overrides
from ace.cli.terminal import show

if TYPE_CHECKING:
    from ace.bench.planning.calibration import Calibration
    from ace.bench.planning.engine_speed import EngineSpeed
    from ace.config import RunSettings
    from ace.inference import Backends


def plan(
    ctx: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's YAML config.", show_default=False)],
    samples: Annotated[int, typer.Option("--samples", min=1, help="Training samples of the run.", show_default=False)],
    pilot: Annotated[
        str, typer.Option("--pilot", metavar="RUN", help="A run of the same config on a few samples.")
    ] = "latest",
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure the engine's speed on this machine, and keep it.")
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            metavar="FILE",
            dir_okay=False,
            help="The speed that another machine measured; with --calibrate, where to write it.",
            show_default=False,
        ),
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option("--gpus", metavar="NxKIND", help="GPUs that are not here, such as 8xH100.", show_default=False),
    ] = None,
    gpu_hour: Annotated[
        float | None,
        typer.Option("--gpu-hour", metavar="PRICE", min=0.0, help="Price of a GPU's hour.", show_default=False),
    ] = None,
    overrides: Overrides = [],  # noqa: B006 - Typer makes a new list for each call
    json_path: JsonPath = None,
) -> None:
    """Estimate time, tokens, money and the bottleneck of a run from a pilot run and the engine's measured speed."""
    from rich.table import Table

    from ace._util.files import replace_file, replaceable
    from ace.bench.planning.pilot import Pilot
    from ace.bench.planning.run_plan import plan_run
    from ace.config import load_settings
    from ace.errors import ConfigError
    from ace.reporting.plan_table import plan_rows
    from ace.reporting.text import cell
    from ace.store import RunStore

    for path in (json_path, calibration if calibrate else None):
        if path is not None:
            replaceable(path)
    settings = load_settings(config, overrides)
    if gpus is not None and (calibrate or calibration is not None):
        raise ConfigError.at("--gpus", gpus, "not supported with --calibrate or --calibration: they say the speed, too")
    with RunStore.open(settings.store, create=False) as store:
        read = Pilot.of(store, store.resolve(pilot))
    if calibrate:
        _measure(settings, calibration, ctx.obj)
    planned = plan_run(settings, read, _speed(settings, calibration, gpus), samples, gpu_hour=gpu_hour)
    if json_path is not None:
        replace_file(json_path, json.dumps(planned.to_json(), indent=2, ensure_ascii=False) + "\n")
    table = Table.grid(padding=(0, 3))
    for name, text in plan_rows(planned):
        table.add_row(name, cell(text, limit=400))
    show(table)


def _measure(settings: RunSettings, path: Path | None, backends: Backends | None) -> None:
    """Measure the speed of one engine of the generator's model, in this process, and keep it."""
    import asyncio

    from ace.bench.planning.calibration import calibrate, keep_calibration, write_calibration
    from ace.inference import create_backend
    from ace.inference.bindings import bind

    model = settings.models[settings.roles.generator.model]
    alone = model.model_copy(
        update={"warm": False, "replicas": 1, "provider": "vllm" if model.provider == "ray" else model.provider}
    )

    async def measure() -> Calibration:
        if backends is not None:
            return await calibrate(bind(settings, backends).get("generator").backend)
        engine = create_backend(alone)
        try:
            return await calibrate(engine)
        finally:
            await engine.close()

    measured = asyncio.run(measure())
    keep_calibration(model, measured)
    if path is not None:
        write_calibration(path, measured)


def _speed(settings: RunSettings, calibration: Path | None, gpus: str | None) -> EngineSpeed | None:
    """The speed to plan with. None for an endpoint, whose calls take as long as in the pilot."""
    from ace.bench.hardware.model_cost import ModelCost
    from ace.bench.planning.calibration import find_calibration, read_calibration
    from ace.bench.planning.gpu_speed import gpu_speed
    from ace.errors import ConfigError
    from ace.inference import model_path

    model = settings.models[settings.roles.generator.model]
    if gpus is not None:
        folder = Path(model_path(model.model))
        if not (folder / "config.json").is_file() or (cost := ModelCost.of(folder)) is None:
            raise ConfigError.at("models.*.model", model.model, "a folder with a dense model, with --gpus")
        return gpu_speed(gpus, cost, per_engine=model.gpus_per_engine)
    if calibration is None and model.provider == "openai":
        return None
    stored = find_calibration(model) if calibration is None else read_calibration(calibration)
    if stored is None:
        raise ConfigError(
            f"the speed of {model.model} on this machine is not known",
            hint="--calibrate measures it once; --calibration FILE and --gpus NxKIND take it from elsewhere",
        )
    return stored.speed(engines=model.replicas)
