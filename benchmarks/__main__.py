"""The project's own benchmarks: `python -m benchmarks`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ace.cli.bench_output import MarkdownPath, Modes, Seed, Shape, create_bench_app, report_writer, write_report
from ace.cli.options import DEFAULT_STORE, JsonPath, Store
from ace.cli.terminal import message_console

if TYPE_CHECKING:
    from ace.bench import Benchmark


def _benchmarks() -> Sequence[Benchmark]:
    from benchmarks.catalogue import PROJECT_BENCHMARKS

    return PROJECT_BENCHMARKS


app = create_bench_app(
    "The project's own benchmarks: medians, and ratios against a baseline in the same run.",
    _benchmarks,
    folder="ace-benchmarks",
)


@app.command("replay")
def replay(
    shape: Annotated[str, typer.Option(help="micro, 0.15b, 0.36b, qwen2.5-3b, qwen2.5-7b, or a folder.")] = "0.36b",
    small_shape: Annotated[
        str | None, typer.Option(help="What plays the small roles; else one that fits.", show_default=False)
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Cut the shapes to so many.", show_default=False)] = None,
    samples: Annotated[int, typer.Option(min=1, max=64, help="How many samples the recorded run learns from.")] = 50,
    epochs: Annotated[int, typer.Option(min=1, help="How often.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Samples that the recorded run works on together.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each mode runs; the median counts.")] = 1,
    seed: Seed = 0,
    trace: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Replay this trace instead.", show_default=False)
    ] = None,
    run: Annotated[str | None, typer.Option(help="Replay this stored run instead.", show_default=False)] = None,
    store: Store = DEFAULT_STORE,
    save_trace: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Keep the recorded trace.", show_default=False)
    ] = None,
    mode: Modes = None,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """A recorded run's calls, with the same lengths, by a model of any shape with random weights."""
    from ace.bench.adaptation_runs.run_modes import select_modes
    from benchmarks.replay import REPLAY_MODES, StoredRun, measure_replay

    report = measure_replay(
        shape=shape,
        small_shape=small_shape,
        layers=layers,
        samples=samples,
        epochs=epochs,
        batch=batch,
        repetitions=repetitions,
        seed=seed,
        trace=trace,
        stored=None if run is None else StoredRun(run, store),
        save=save_trace,
        modes=select_modes(REPLAY_MODES, mode or ()),
        partial=report_writer(json_path, markdown),
    )
    write_report(report, json_path, markdown)


@app.command("reflect")
def reflect(
    shape: Shape = "micro",
    samples: Annotated[int, typer.Option(min=1, help="Samples of the batch.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each mode runs; the median counts.")] = 3,
    seed: Seed = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """The reflector alone, three rounds on each sample of a batch."""
    from benchmarks.reflection import measure_reflect

    write_report(measure_reflect(shape=shape, samples=samples, repetitions=repetitions, seed=seed), json_path, markdown)


@app.command("batch")
def batch(
    samples: Annotated[int, typer.Option(min=1, max=64, help="How many samples are learned from.")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="How often.")] = 1,
    repetitions: Annotated[int, typer.Option(min=1, help="How many worlds each size learns.")] = 5,
    seed: Seed = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Batch sizes from one to 64 and auto: speed, and accuracy against one by one."""
    from benchmarks.engine_load.batch_sizes import measure_batches

    writer = report_writer(json_path, markdown)
    report = measure_batches(samples=samples, epochs=epochs, repetitions=repetitions, seed=seed, partial=writer)
    write_report(report, json_path, markdown)


@app.command("concurrency")
def concurrency(
    shape: Shape = "0.36b",
    requests: Annotated[list[int] | None, typer.Option(min=1, help="How many at once; else 1 to 256.")] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Of each answer.")] = 64,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each is asked; the median counts.")] = 3,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """One engine at growing concurrency, with short and long prompts: tokens a second."""
    from benchmarks.engine_load.concurrency import measure_concurrency

    report = measure_concurrency(
        shape=shape, requests=requests or (1, 4, 16, 64, 256), tokens=tokens, repetitions=repetitions
    )
    write_report(report, json_path, markdown)


@app.command("prefix")
def prefix(
    samples: Annotated[
        int, typer.Option(min=32, max=2400, help="How many samples the recorded run learns from.")
    ] = 200,
    top: Annotated[int, typer.Option(min=1, help="Bullets of a prompt where they are retrieved by question.")] = 16,
    tokens: Annotated[int, typer.Option(min=1, help="The most tokens that each request generates.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each runs; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The first world; each repetition has its own.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """One run's prompts laid out for the prefix cache, with counters in them, and with bullets by question."""
    from rich.text import Text

    from benchmarks.prefix_layouts import measure_prefix

    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
    report = measure_prefix(samples=samples, top=top, tokens=tokens, repetitions=repetitions, seed=seed)
    write_report(report, json_path, markdown)


@app.command("saturation")
def saturation(
    samples: Annotated[int, typer.Option(min=1, max=128, help="How many samples are learned from.")] = 50,
    batch: Annotated[int, typer.Option(min=1, help="Samples of a batch.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="Worlds that each setting learns; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The first world; each repetition has its own.")] = 0,
    shape: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Random weights of a shape of replay, instead of the micro model."),
    ] = None,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Tokens a second of a run, with and without a pipeline, against the same requests all at once."""
    from rich.text import Text

    from benchmarks.engine_load.saturation import measure_saturation

    message_console().print(Text("measuring; this takes a few minutes on a CPU"), soft_wrap=True)
    report = measure_saturation(
        samples=samples,
        batch=batch,
        repetitions=repetitions,
        seed=seed,
        shape=shape,
        partial=report_writer(json_path, markdown),
    )
    write_report(report, json_path, markdown)


@app.command("overhead")
def overhead(
    repetitions: Annotated[int, typer.Option(min=1, help="How often each is measured; the median counts.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the made-up bullets.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Merge, dedup, apply, render and budget on playbooks of 100 to 99 000 bullets."""
    from benchmarks.playbook_overhead import measure_overhead

    write_report(measure_overhead(repetitions=repetitions, seed=seed), json_path, markdown)


@app.command("pages")
def pages(
    runs: Annotated[int, typer.Option(min=1, help="Runs in the store.")] = 1_000,
    bullets: Annotated[int, typer.Option(min=1, help="Bullets of the large playbook.")] = 2_000,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each page is asked; the median counts.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Without effect: the store is always the same.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Pages of the dashboard with many runs and a large playbook."""
    from benchmarks.dashboard_pages import measure_pages

    report = measure_pages(runs=runs, bullets=bullets, repetitions=repetitions, seed=seed)
    write_report(report, json_path, markdown)


@app.command("prompts")
def prompts(
    samples: Annotated[int, typer.Option(min=1, help="Training tickets, and as many test tickets.")] = 200,
    batch: Annotated[int, typer.Option(min=1, help="Samples of a batch.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="How often the journal is written; the median counts.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the tickets.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Time and size of storing the prompt of every call."""
    from benchmarks.scale.prompt_storage import measure_prompt_storage

    report = measure_prompt_storage(samples=samples, batch=batch, repetitions=repetitions, seed=seed)
    write_report(report, json_path, markdown)


@app.command("credit")
def credit(
    trials: Annotated[int, typer.Option(min=1, help="How many worlds.")] = 40,
    planted: Annotated[int, typer.Option(min=1, max=6, help="False bullets in each playbook.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="The first world.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Rank of planted false bullets in `ace playbook credit`."""
    from benchmarks.attribution_ranking import measure_credit_ranking

    write_report(measure_credit_ranking(trials=trials, planted=planted, seed=seed), json_path, markdown)


@app.command("plan")
def plan(
    repetitions: Annotated[int, typer.Option(min=1, help="How often each run; the fastest counts.")] = 3,
    seed: Seed = 0,
    model: Annotated[
        str | None, typer.Option(help="A folder with a real model, for the task routing.", show_default=False)
    ] = None,
    case: Annotated[
        list[str] | None,
        typer.Option(metavar="SAMPLESxBATCH", help="Only this run, such as 64x16; repeatable.", show_default=False),
    ] = None,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """The expectations of `ace plan`, against runs."""
    from benchmarks.scale.plan_accuracy import measure_plan, read_cases

    measured = measure_plan(repetitions=repetitions, seed=seed, model=model, cases=read_cases(case or ()))
    write_report(measured, json_path, markdown)


@app.command("serve")
def serve(
    clients: Annotated[int, typer.Option(min=1, help="How many ask at once.")] = 200,
    seconds: Annotated[float, typer.Option(min=4.0, help="For how long they ask the server.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="Has no effect here.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """`ace serve` in front of a scripted upstream: errors, added latency, memory."""
    from benchmarks.scale.serve_load import measure_serve

    write_report(measure_serve(clients=clients, seconds=seconds, seed=seed), json_path, markdown)


@app.command("learning")
def learning(
    config: Annotated[list[Path], typer.Option(exists=True, dir_okay=False, help="The task; repeatable.")],
    large: Annotated[str | None, typer.Option(metavar="FOLDER", help="A model.", show_default=False)] = None,
    small: Annotated[str | None, typer.Option(metavar="FOLDER", help="A smaller model.", show_default=False)] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(help="large, small, or both (small generates, large reflects); repeatable.", show_default=False),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="ace, icl or rewrite; repeatable; else ace.", show_default=False)
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Repeatable; else 0, 1 and 2.")] = None,
    engine: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of both models, such as max_model_len=6144.")
    ] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As of `ace run`.")] = None,
    store: Store = DEFAULT_STORE,
    limit: Annotated[float, typer.Option(min=0, help="Seconds after which no run is begun.")] = math.inf,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """Scores before and after runs with real models, by task, models, method and seed."""
    from benchmarks.learning import measure_learning

    folders = {name: folder for name, folder in (("small", small), ("large", large)) if folder is not None}
    report = measure_learning(
        configs=config,
        folders=folders,
        models=models or tuple(folders)[-1:],
        methods=method or ("ace",),
        seeds=seed or (0, 1, 2),
        store=store,
        engine=engine or (),
        changes=changes or (),
        limit_s=limit,
        partial=report_writer(json_path, markdown),
    )
    write_report(report, json_path, markdown)


@app.command("places")
def places(
    repetitions: Annotated[int, typer.Option(min=1, help="How often each start is timed; the median counts.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which each engine is asked; the median counts.")] = 7,
    seed: Seed = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """An engine in the process of the run, kept warm, and two on a Ray cluster: start and rate."""
    from benchmarks.scale.engine_places import measure_places

    write_report(measure_places(repetitions=repetitions, rounds=rounds, seed=seed), json_path, markdown)


@app.command("soak")
def soak(
    samples: Annotated[
        int, typer.Option(min=1000, help="How many samples the run has, rounded up to whole epochs of 500.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="The micro world that is learned.")] = 0,
    json_path: JsonPath = None,
    markdown: MarkdownPath = None,
) -> None:
    """One long run with a scripted model: memory, open files, store size and speed from beginning to end."""
    from rich.text import Text

    from benchmarks.soak import measure_soak

    message_console().print(Text("measuring; ten thousand samples take a few minutes"), soft_wrap=True)
    write_report(measure_soak(samples=samples, seed=seed), json_path, markdown)


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
