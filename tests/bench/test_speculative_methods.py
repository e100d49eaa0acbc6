"""`ace bench speculative` without an engine: what is asked, and what is made of the answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from ace.bench import measure_config_speculative
from ace.bench.adaptation_runs.config_modes import ConfigSource
from ace.bench.hardware.measured_machine import Machine
from ace.bench.speculative_methods import Answer, SpeculativeReport, Trial, measure_trials, speculative_row
from ace.bench.speculative_requests import RoleRequest, dealt, micro_requests
from ace.config import SpeculativeSettings
from ace.errors import ConfigError
from ace.inference import ScriptedBackend
from ace.types import ROLES, Message, Request, RoleName, Usage


@pytest.mark.slow
def test_the_requests_are_a_runs_own_greedy_and_guided() -> None:
    requests = micro_requests(200, world=1)
    assert len(requests) == 200
    assert {item.role for item in requests} == set(ROLES)
    assert all(item.request.schema and item.request.sampling.temperature == 0 for item in requests)
    assert micro_requests(20, world=1) == requests[-20:]
    assert micro_requests(1, world=2)[0] != requests[-1]


def test_the_warm_up_is_not_counted_and_every_repetition_is() -> None:
    first, second, third = (micro_requests(count, world=1) for count in (2, 3, 4))
    backend = ScriptedBackend(lambda request: "a b")
    (trial,) = asyncio.run(measure_trials(backend, {16: [first, second, third]}))
    assert backend.closed
    assert [[answer.role for answer in answers] for answers in trial.answers] == [
        [item.role for item in second],
        [item.role for item in third],
    ]
    assert [sum(answer.usage.completion_tokens for answer in answers) for answers in trial.answers] == [6, 8]


def requests_of(*roles: RoleName) -> list[RoleRequest]:
    return [
        RoleRequest(role, Request((Message("user", f"question {number}"),))) for number, role in enumerate(roles, 1)
    ]


def test_every_list_has_requests_from_the_whole_run() -> None:
    run = requests_of(*ROLES * 6)[:16]
    first, second = dealt(run, 4, 2)
    assert len(first) == len(second) == 4
    assert not {item.request.digest for item in first} & {item.request.digest for item in second}
    assert {item.role for item in first + second} == set(ROLES)
    every = dealt(run, 100, 4)
    assert sorted(len(part) for part in every) == [4, 4, 4, 4]


def test_a_run_with_too_few_requests_says_how_many_are_needed() -> None:
    with pytest.raises(ConfigError, match="makes 3 requests; 4 are needed"):
        dealt(requests_of("generator", "reflector", "curator"), 48, 4)


def test_a_row_compares_with_the_same_work_without_speculation() -> None:
    def answers(first: str, second: str, usage: Usage) -> tuple[Answer, ...]:
        return (Answer("generator", first, usage), Answer("curator", second, Usage()))

    plain = Usage(1, 0, 8)
    base = Trial(1, (2.0, 4.0, 2.0), tuple(answers(a, b, plain) for a, b in ("ab", "cd", "ef")), 1.0)
    usage = Usage(1, 0, 8, drafted_tokens=10, accepted_tokens=6, draft_steps=3)
    mine = Trial(1, (1.0, 1.0, 3.0), tuple(answers(a, b, usage) for a, b in ("ab", "cx", "ef")), 1.5)
    row = speculative_row(SpeculativeSettings(method="ngram"), mine, base)
    assert (row.seconds, row.tokens_per_s, row.ratio) == (1.0, 8.0, 2.0)
    assert (row.every.acceptance_rate, row.every.accepted_length) == (0.6, 3.0)
    assert (row.every.identical, row.every.answers) == (5, 6)
    assert list(row.roles) == ["generator", "curator"]
    assert row.roles["curator"].acceptance_rate is None and row.roles["curator"].identical == 2
    report = SpeculativeReport((row,), {"suffix": "no package"}, "auto is off", "ace bench speculative", Machine.here())
    text = report.to_markdown()
    assert "| ngram | 1 | 1.00 | 8.0 | 2.00x | 60% | 3.00 | 5 of 6 |" in text
    assert "| ngram | 1 | generator | 60% | 3.00 | 3 of 3 |" in text
    assert "suffix was not measured: no package" in text
    assert report.to_json()["rows"][0]["ratio"] == 2.0


def micro_config(folder: Path, **models: str) -> ConfigSource:
    file = folder / "my.yaml"
    task = {"name": "micro", "micro": {"seed": 3, "terms": 6, "modifiers": 2, "train": 8, "validation": 0, "test": 2}}
    roles = {role: {"max_tokens": 96, "temperature": 0.0, "top_p": 1.0} for role in ROLES}
    settings = {
        "task": task,
        "models": {name: {"model": model, "max_model_len": 2048} for name, model in models.items()},
        "roles": roles,
        "prompts": "micro",
        "adaptation": {"batch_size": 4, "max_rounds": 1},
    }
    file.write_text(yaml.safe_dump(settings))
    return ConfigSource(str(file))


def test_a_config_without_samples_is_refused_before_an_engine_starts(tmp_path: Path) -> None:
    source = micro_config(tmp_path, main="micro-target")
    empty = ConfigSource(source.path, ("task.micro.train=0",))
    with pytest.raises(ConfigError, match=r"task\.train"):
        measure_config_speculative(empty, requests=4, batches=[1], repetitions=1)


@pytest.mark.engine
@pytest.mark.nightly
def test_a_configs_models_are_measured_on_requests_of_its_own_run(tmp_path: Path) -> None:
    source = micro_config(tmp_path, main="micro-target", small="micro-draft")
    report = measure_config_speculative(source, requests=6, batches=[4], repetitions=1, keep=False)
    assert [row.method for row in report.rows][:4] == ["none", "ngram", "history", "draft"]
    assert all(row.batch == 4 and 1 <= row.every.answers <= 6 for row in report.rows)
    draft = report.rows[3]
    assert draft.every.acceptance_rate and {"generator", "reflector"} <= set(draft.roles)
    assert report.command == "ace bench speculative --config my.yaml --requests 6 --batch 4 --repetitions 1"
