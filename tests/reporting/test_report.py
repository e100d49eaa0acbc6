"""The report of runs: complete, readable offline, and unmoved by hostile texts."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ace_command import invoke
from hostile_corpus import CORPUS
from micro_runs import all_roles, settings

from ace.engine import run
from ace.experiments import compare_evaluations
from ace.experiments.outcomes import evaluated
from ace.inference import ScriptedBackend
from ace.playbook import Bullet, Playbook
from ace.reporting.pages.report_data import Failure, ReportedRun, collect_run
from ace.reporting.pages.report_exports import report_csv, report_markdown, report_png
from ace.reporting.pages.report_page import report_html
from ace.store import RunStore
from ace.tasks.micro.scripted_model import ScriptedMicroModel


class Elements(HTMLParser):
    """The names of a page's elements and every attribute that could load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.sources: list[str | None] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href") and not str(value).startswith("#")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    folder = tmp_path_factory.mktemp("report")
    for name, slips in (("right", 0.0), ("wrong", 1.0)):
        changed = settings(folder, name=name)
        asyncio.run(run(changed, backends=all_roles(ScriptedBackend(ScriptedMicroModel(slips=slips)))))
    return RunStore.open(f"sqlite:///{folder}/ace.db", create=False)


@pytest.fixture(scope="module")
def reported(store: RunStore) -> tuple[ReportedRun, ...]:
    return tuple(collect_run(store, each.id) for each in store.list_runs())


TEXTS = [one.text for one in CORPUS if one.text.strip() and len(one.text) < 10_000]


def filled(reported: ReportedRun, texts: list[str]) -> ReportedRun:
    """`reported` with each of `texts` wherever a model, a sample or a file can put one."""
    bullets = [Bullet(f"trm-{number:05d}", "trm", text) for number, text in enumerate(texts, 1)]
    return replace(
        reported,
        run=replace(reported.run, task=texts[0], name=texts[0]),
        curve=tuple(replace(reported.curve[0], label=text, split=text) for text in texts),
        playbook=Playbook.of(bullets, reported.playbook.sections),
        failures=tuple(Failure(text, text, "generator", text, text) for text in texts),
        failure_count=len(texts),
        causes={f"{number} {text}": number for number, text in enumerate(texts)},
        stops={f"{text} {number}": number for number, text in enumerate(texts)},
    )


def test_a_report_holds_what_the_store_knows_of_a_run(store: RunStore, reported: tuple[ReportedRun, ...]) -> None:
    for each in reported:
        evaluations = store.evaluations(each.run.id)
        assert [point.correct for point in each.curve] == [one.correct for one in evaluations]
        assert [point.samples for point in each.batches] == [batch.samples for batch in store.batches(each.run.id)]
        assert each.batches[-1].bullets == len(store.playbook(each.run.id))
        assert each.usage == store.usage_by_role(each.run.id)
        assert all(point.interval.low <= point.accuracy <= point.interval.high for point in each.curve)
        assert sum(each.stops.values()) == sum(batch.samples for batch in store.batches(each.run.id))


def test_a_page_shows_every_bullet_and_asks_for_nothing(reported: tuple[ReportedRun, ...]) -> None:
    page = report_html(reported)
    elements = Elements(page)
    text = "".join(elements.texts)
    assert all(bullet.content in text for each in reported for bullet in each.bullets)
    assert elements.sources == [] and "default-src 'none'" in page
    assert len(page) < 1_500_000


def test_hostile_texts_add_no_element_to_a_page(reported: tuple[ReportedRun, ...]) -> None:
    harmless = Elements(report_html([filled(reported[0], ["plain"] * len(TEXTS))]))
    hostile = Elements(report_html([filled(reported[0], TEXTS)]))
    assert hostile.names == harmless.names and hostile.sources == []


def test_hostile_texts_add_no_row_or_formula_to_a_csv(reported: tuple[ReportedRun, ...]) -> None:
    rows = list(csv.reader(io.StringIO(report_csv([filled(reported[0], TEXTS)]))))
    assert len(rows) == 1 + len(TEXTS)
    assert not [row for row in rows if row[1].startswith(("=", "+", "-", "@"))]


def test_hostile_texts_add_no_line_to_a_markdown_table(reported: tuple[ReportedRun, ...]) -> None:
    harmless = report_markdown([filled(reported[0], ["plain"] * len(TEXTS))])
    assert report_markdown([filled(reported[0], TEXTS)]).count("\n") == harmless.count("\n")


def test_several_runs_are_compared_with_the_first(store: RunStore, reported: tuple[ReportedRun, ...]) -> None:
    first, second = (evaluated(store, each.run.id) for each in reported)
    comparisons = compare_evaluations(first, [second])
    difference = f"{comparisons[0].test.difference * 100:+.1f}"
    assert difference in "".join(Elements(report_html(reported, comparisons)).texts)
    assert difference in report_markdown(reported, comparisons)


def test_the_png_is_a_picture(reported: tuple[ReportedRun, ...]) -> None:
    pytest.importorskip("matplotlib")
    assert report_png(reported).startswith(b"\x89PNG\r\n")


def test_the_command_writes_every_format(tmp_path: Path, store: RunStore) -> None:
    ids = [each.id for each in store.list_runs()]
    for kind, beginning in (("html", b"<!DOCTYPE html>"), ("md", b"# ACE report"), ("csv", b"run,evaluation")):
        path = tmp_path / f"out.{kind}"
        result = invoke("report", *ids, "--store", store.name, "--output", path)
        assert result.exit_code == 0, result.output
        assert path.read_bytes().startswith(beginning)
        printed = invoke("report", *ids, "--store", store.name, "--format", kind, "-o", "-")
        assert printed.stdout_bytes == path.read_bytes()
    missing = invoke("report", "nobody", "--store", store.name, "-o", tmp_path / "x.html")
    assert missing.exit_code == 2 and not (tmp_path / "x.html").exists()
