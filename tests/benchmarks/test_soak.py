"""The soak benchmark is a real run whose numbers can be believed."""

from __future__ import annotations

import json

import pytest

from ace.tasks.micro.scripted_model import ScriptedMicroModel
from ace.types import Message, Request, Sampling
from benchmarks.soak import SoakReport, measure_soak

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report() -> SoakReport:
    return measure_soak(samples=501, seed=4)


def test_a_short_soak_measures_every_tenth_and_works_to_its_end(report: SoakReport) -> None:
    assert report.samples == 1000  # whole epochs
    assert [row.samples for row in report.rows] == list(range(100, 1001, 100))
    assert all(row.wall_s > 0 and row.cpu_s > 0 and row.rss_bytes > 1 << 20 for row in report.rows)
    assert report.rows[0].store_bytes < report.rows[-1].store_bytes
    assert report.open_files_end < report.open_files_start + 10  # a connection more; a leak would be one a batch
    assert min(report.operations[kind] for kind in ("ADD", "UPDATE", "REMOVE", "TAG")) > 10
    assert report.calls > 1500  # more than an answer and a reflection for each sample
    assert report.rss_slope < 20_000  # bytes a sample; one kept request alone would be thousands


def test_the_report_can_be_written(report: SoakReport) -> None:
    numbers = json.loads(json.dumps(report.to_json()))
    assert numbers["samples"] == 1000
    assert numbers["wall_ratio"] == pytest.approx(numbers["rows"][-1]["wall_s"] / numbers["rows"][1]["wall_s"])
    table = report.to_markdown()
    assert table.startswith("`python -m benchmarks soak --samples 1000 --seed 4`")
    assert table.count("\n| ") >= 10


def test_slips_follow_from_the_request_alone() -> None:
    right = 'REFLECT\nCode of "red bolt"? answer 12-AB right'
    requests = [
        Request((Message("system", "PLAYBOOK\nbolt -> AB [trm-00001]"), Message("user", f"{right} {n}")), Sampling())
        for n in range(200)
    ]
    player = ScriptedMicroModel(slips=0.25)
    answers = [player(request) for request in requests]
    assert answers == [ScriptedMicroModel(slips=0.25)(request) for request in requests]
    assert 20 < sum(json.loads(answer)["key_insight"] != "" for answer in answers) < 80
    assert all(json.loads(ScriptedMicroModel()(request))["key_insight"] == "" for request in requests)
