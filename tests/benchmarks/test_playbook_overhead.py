"""The overhead benchmark measures work that is really done, and its growth."""

from __future__ import annotations

import json
import random

import pytest

from ace.playbook import Playbook
from benchmarks.playbook_overhead import THRESHOLD, growth_exponent, make_operations, measure_overhead


def test_every_operation_is_measured_at_every_size() -> None:
    report = measure_overhead(repetitions=2, seed=1, sizes=(20, 200))
    assert all(set(row.milliseconds) == {20, 200} for row in report.rows)
    assert all(value > 0 for row in report.rows for value in row.milliseconds.values())
    assert json.loads(json.dumps(report.to_json()))["rows"][0]["operation"] == report.rows[0].operation
    assert report.to_markdown().count("\n| ") == len(report.rows) + 1


def test_what_is_measured_does_its_work() -> None:
    operations = make_operations(50, random.Random(2))
    done = {name: operation.work(operation.playbook()) for name, operation in operations.items()}
    merged, deduped = done["merge of 16 proposals"], done["dedup of one bullet, next version"]
    assert len(merged) == 5 + 1 + 16 * 20  # type: ignore[arg-type]
    assert len(deduped.delta) + len(deduped.dropped) == 1  # type: ignore[attr-defined]
    assert len(str(done["render, first load"]).splitlines()) == 50
    assert isinstance(done["budget, kept, next version"].playbook, Playbook)  # type: ignore[attr-defined]
    assert 0 < THRESHOLD < 1


def test_each_measurement_of_a_next_version_works_on_a_further_one() -> None:
    operations = make_operations(50, random.Random(2))
    assert operations["render, next version"].playbook().version == 1
    assert operations["render, next version"].playbook().version == 2
    assert operations["render, first load"].playbook().version == 0


@pytest.mark.parametrize(("power", "found"), [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)])
def test_growth_is_the_exponent(power: float, found: float) -> None:
    assert growth_exponent({n: 3.0 * n**power for n in (10, 100, 1000)}) == pytest.approx(found, abs=1e-9)
