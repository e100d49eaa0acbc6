"""`ace playbook`: look at playbooks, compare them, take them out of a run and bring them in from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ace.cli.options import DEFAULT_STORE, JsonPath, PrintJson, RunName, Store
from ace.cli.run_execution import stored_settings
from ace.cli.terminal import message_console, print_json, show

if TYPE_CHECKING:
    from ace.config import RunSettings
    from ace.experiments import Credit
    from ace.playbook import Bullet, Playbook
    from ace.store import CreditRecord

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Show, compare, judge, export and import playbooks."
)

ExportKind = Literal["playbook", "skill", "agents", "system-prompt"]
SUFFIXES = (".txt", ".json", ".md")

Source = Annotated[
    str,
    typer.Argument(
        metavar="RUN|FILE",
        help="A run, or a playbook file ending in .json, .md or .txt.",
        show_default=False,
    ),
]
Version = Annotated[
    int | None, typer.Option("--version", help="The playbook version of the run; the best one if not given.")
]

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Task and models to evaluate with; by default the run's own.", show_default=False),
]
CreditSplit = Annotated[
    Literal["train", "validation", "test"],
    typer.Option("--split", help="The samples to evaluate on; those of test are better kept for the report."),
]
SampleLimit = Annotated[
    int | None, typer.Option("--samples", min=1, help="Only the first so many samples.", show_default=False)
]


@app.command("show")
def show_playbook(
    source: Source = "latest", version: Version = None, store: Store = DEFAULT_STORE, as_json: PrintJson = False
) -> None:
    """Show a playbook, section by section."""
    from ace.reporting.json_output import playbook_json
    from ace.reporting.playbook_tables import playbook_view

    playbook = _load(source, version, store)
    credit = _stored_credit(source, playbook, store)
    if as_json:
        print_json(playbook_json(playbook, credit))
    else:
        show(playbook_view(playbook, credit))


@app.command("blame")
def blame_playbook(
    run: RunName = "latest", version: Version = None, store: Store = DEFAULT_STORE, as_json: PrintJson = False
) -> None:
    """Show who wrote each bullet of a run's playbook: the batch and its sample, or the person."""
    from ace.reporting.json_output import blame_json
    from ace.reporting.playbook_blame import blame, blame_table
    from ace.store import RunStore

    with RunStore.open(store, create=False) as opened:
        stored = opened.run(opened.resolve(run))
        bullets = blame(opened, stored.id, stored.best_version if version is None else version)
    if as_json:
        print_json(blame_json(bullets))
    else:
        show(blame_table(bullets))


@app.command("diff")
def diff_playbooks(
    source: Source,
    other: Annotated[
        str | None,
        typer.Argument(metavar="RUN|FILE", help="Compare with this one's playbook instead.", show_default=False),
    ] = None,
    before: Annotated[
        int | None, typer.Option("--from", help="The version to compare from; the run's first if not given.")
    ] = None,
    after: Annotated[
        int | None, typer.Option("--to", help="The version to compare to; the best one if not given.")
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: PrintJson = False,
) -> None:
    """Show what changed between two versions of a run's playbook, or between two runs or files."""
    from ace.playbook import diff
    from ace.reporting.json_output import diff_json
    from ace.reporting.playbook_tables import diff_view

    first = _load(source, before, store, initial=other is None)
    second = _load(source if other is None else other, after, store)
    if as_json:
        print_json(diff_json(diff(first, second)))
    else:
        show(diff_view(diff(first, second)))


@app.command("export")
def export_playbook(
    source: Source,
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", dir_okay=False, help="Where to: .json (keeps everything), .md or .txt."),
    ],
    kind: Annotated[
        ExportKind,
        typer.Option("--as", help="For agents instead: a SKILL.md, a section of an AGENTS.md, or a system prompt."),
    ] = "playbook",
    name: Annotated[str, typer.Option(help="The name of the skill.")] = "playbook",
    description: Annotated[
        str, typer.Option(help="When an agent should use the skill.")
    ] = "Advice learned from earlier work on this task. Read it before you begin.",
    version: Version = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write a playbook to a file: for people, for other programs, or for agents."""
    from ace._util.files import replace_file
    from ace.playbook.io.agent_files import dump_skill, update_agents_file

    playbook = _load(source, version, store)
    if kind == "playbook":
        _write(playbook, path)
    elif kind == "skill":
        replace_file(path, dump_skill(playbook, name=name, description=description))
    elif kind == "agents":
        existing = path.read_text(encoding="utf-8") if path.exists() else ""
        replace_file(path, update_agents_file(existing, playbook))
    else:
        replace_file(path, playbook.as_system_prompt())


@app.command("merge")
def merge_playbooks(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="RUN|FILE...", help="Two or more playbooks; the earlier wins a conflict."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", dir_okay=False, help="Where to: .json (keeps everything), .md or .txt.")
    ],
    base: Annotated[
        str | None,
        typer.Option(
            help="The run or file that all of them grew from: removals and rewordings count.", show_default=False
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Cosine similarity from which a new bullet is a duplicate.")
    ] = 0.92,
    store: Store = DEFAULT_STORE,
) -> None:
    """Merge playbooks that have grown apart; duplicates and conflicts are listed."""
    from ace.errors import ConfigError
    from ace.playbook import NgramEmbedder, combine_playbooks
    from ace.reporting.text import cell

    if len(sources) < 2:
        raise ConfigError.at("RUN|FILE", " ".join(sources), "two or more playbooks")
    start = None if base is None else _load(base, None, store)
    combined = combine_playbooks(
        [_load(source, None, store) for source in sources], base=start, embedder=NgramEmbedder(), threshold=threshold
    )
    _write(combined.playbook, output)
    for title, operations in (("conflict", combined.conflicts), ("duplicate", combined.duplicates)):
        for dropped in operations:
            text = getattr(dropped.operation, "content", "") or getattr(dropped.operation, "id", "")
            show(cell(f"{title}: {dropped.operation.type} {text}: {dropped.reason}"))


@app.command("import")
def import_playbook(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The playbook: .txt (the original ACE's format), .md or .json."),
    ],
    path: Annotated[
        Path,
        typer.Argument(metavar="OUT", dir_okay=False, help="Where to; a run starts from it with playbook.initial."),
    ],
) -> None:
    """Check a playbook file from elsewhere and write it in another format."""
    from rich.text import Text

    from ace.playbook import read_playbook
    from ace.reporting.text import visible

    notes: list[str] = []
    playbook = read_playbook(source, notes=notes)
    for note in notes:
        message_console().print(Text(f"{visible(str(source))}: {visible(note)}"), soft_wrap=True)
    _write(playbook, path)


@app.command("credit")
def credit(
    ctx: typer.Context,
    source: Source,
    config: ConfigOption = None,
    version: Version = None,
    split: CreditSplit = "validation",
    samples: SampleLimit = None,
    group: Annotated[
        Literal["bullet", "section"], typer.Option(help="Leave out one bullet, or one section, at a time.")
    ] = "bullet",
    measure: Annotated[
        Literal["right", "score"], typer.Option(help="By right answers, or by the mean score.")
    ] = "right",
    store: Store = DEFAULT_STORE,
    json_path: JsonPath = None,
) -> None:
    """Rank the bullets by what is lost without each, on samples that they were not learned from."""
    from ace._util.files import replace_file, replaceable
    from ace.reporting.experiment_tables import credit_view

    if json_path is not None:
        replaceable(json_path)
    credit_of_groups = _credit(ctx, source, version, config, store, split, samples, group, measure)
    if json_path is not None:
        replace_file(json_path, json.dumps(credit_of_groups.to_json(), indent=2, ensure_ascii=False) + "\n")
    show(credit_view(credit_of_groups))


@app.command("bisect")
def bisect(
    ctx: typer.Context,
    run: RunName,
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="The sample's id.", show_default=False)],
    store: Store = DEFAULT_STORE,
) -> None:
    """Find the version of a run's playbook that made a sample wrong."""
    import asyncio

    from ace.experiments import trace_sample
    from ace.reporting.experiment_tables import history_view
    from ace.reporting.run_progress.progress import progress_view
    from ace.store import RunStore

    with RunStore.open(store, create=False) as opened:
        stored = opened.run(opened.resolve(run))
    settings = stored_settings(stored, store)
    with progress_view(message_console()) as view:
        history = asyncio.run(trace_sample(settings, stored.id, sample, listener=view, backends=ctx.obj))
    show(history_view(history))


@app.command("prune")
def prune(
    ctx: typer.Context,
    source: Source,
    path: Annotated[
        Path, typer.Argument(metavar="OUT", dir_okay=False, help="Where to: .json (keeps everything), .md or .txt.")
    ],
    by: Annotated[
        Literal["credit", "counters"],
        typer.Option(help="Drop what harms on held-out samples, or what was tagged harmful more often than helpful."),
    ] = "credit",
    useless: Annotated[bool, typer.Option("--useless", help="Also drop what makes no difference.")] = False,
    config: ConfigOption = None,
    version: Version = None,
    split: CreditSplit = "validation",
    samples: SampleLimit = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write a playbook without the bullets that do more harm than good."""
    from ace._util.files import replaceable
    from ace.experiments.attribution import harmful_bullets, harmful_by_counters

    replaceable(path)
    playbook = _load(source, version, store)
    if by == "credit":
        ranking = _credit(ctx, source, version, config, store, split, samples, "bullet", "right").ranking
        dropped = harmful_bullets(ranking, useless=useless)
    else:
        dropped = harmful_by_counters(playbook, useless=useless)
    _drop(playbook, dropped, path)


def _drop(playbook: Playbook, dropped: Sequence[Bullet], path: Path) -> None:
    from ace.experiments.attribution import without
    from ace.reporting.text import cell

    for bullet in dropped:
        message_console().print(cell(f"- [{bullet.id}] {bullet.content}"), soft_wrap=True)
    message_console().print(f"dropped {len(dropped)} of {len(playbook)} bullets")
    _write(without(playbook, dropped), path)


def _credit(
    ctx: typer.Context,
    source: str,
    version: int | None,
    config: Path | None,
    store: str,
    split: Literal["train", "validation", "test"],
    samples: int | None,
    group: Literal["bullet", "section"],
    measure: Literal["right", "score"],
) -> Credit:
    import asyncio

    from ace.experiments import measure_credit
    from ace.reporting.run_progress.progress import progress_view
    from ace.store import RunStore

    if not _is_file(source):
        with RunStore.open(store, create=False) as opened:
            source = opened.resolve(source)  # the measurement becomes the latest run
    settings = _settings(source, config, store)
    playbook = _load(source, version, store)
    with progress_view(message_console()) as view:
        measured = asyncio.run(
            measure_credit(
                settings,
                playbook,
                split=split,
                limit=samples,
                group=group,
                measure=measure,
                listener=view,
                backends=ctx.obj,
            )
        )
    if not _is_file(source):
        with RunStore.open(store, create=False) as opened:
            opened.record_credit(source, measured.records(playbook.version))
    return measured


def _stored_credit(source: str, playbook: Playbook, store: str) -> dict[str, CreditRecord]:
    """The credit that was measured of the run's bullets, by id; nothing for a file."""
    from ace.reporting.bullet_credit import current_credit
    from ace.store import RunStore

    if _is_file(source):
        return {}
    with RunStore.open(store, create=False) as opened:
        return current_credit(opened.credit(opened.resolve(source)), playbook.bullets)


def _is_file(source: str) -> bool:
    return Path(source).suffix in SUFFIXES


def _settings(source: str, config: Path | None, store: str) -> RunSettings:
    """Load the settings of an evaluation: those of `config`, or of the run `source`."""
    from ace.config import load_settings
    from ace.store import RunStore

    if config is not None:
        return load_settings(config)
    if _is_file(source):
        raise typer.BadParameter(f"{source} is a file: name a config with --config, for task and models")
    with RunStore.open(store, create=False) as opened:
        return stored_settings(opened.run(opened.resolve(source)), store)


def _load(source: str, version: int | None, store: str, *, initial: bool = False) -> Playbook:
    """Read the playbook of a file or a run: by default its best version, or its first where `initial`."""
    from ace.playbook import read_playbook
    from ace.store import RunStore

    if _is_file(source):
        if version is not None:
            raise typer.BadParameter(f"{source} is a file, it has no versions")
        return read_playbook(source)
    with RunStore.open(store, create=False) as opened:
        run = opened.run(opened.resolve(source))
        if version is None:
            version = opened.playbook_versions(run.id)[0].version if initial else run.best_version
        return opened.playbook(run.id, version)


def _write(playbook: Playbook, path: Path) -> None:
    from rich.text import Text

    from ace.playbook import write_playbook
    from ace.reporting.text import visible

    write_playbook(playbook, path)
    message_console().print(Text(f"{visible(str(path))}: {len(playbook)} bullets"), soft_wrap=True)
