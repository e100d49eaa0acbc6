"""Grids, baselines, comparisons, credit and histories, with a scripted model on the micro world."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, micro_backend, settings

from ace.config import RunSettings
from ace.engine import Listener, run
from ace.engine.events import null_listener
from ace.errors import BudgetReachedError, ConfigError, DataError, RunNotFoundError
from ace.experiments import (
    CompletedGridRun,
    GridRun,
    compare_evaluations,
    grid,
    leaderboard,
    measure_credit,
    parse_vary,
    run_grid,
    trace_sample,
)
from ace.experiments.attribution import without
from ace.experiments.grid import baseline_runs
from ace.experiments.outcomes import evaluated
from ace.inference import ScriptedBackend
from ace.playbook import Add, Delta, Playbook, apply, render
from ace.prompts import load_pack
from ace.store import RunStore
from ace.tasks.micro.micro_world import make_world
from ace.tasks.micro.scripted_model import ScriptedMicroModel


@contextmanager
def quiet(cell: GridRun, number: int) -> Iterator[Listener]:
    yield null_listener


def run_all(cells: Sequence[GridRun], backend: ScriptedBackend | None = None) -> tuple[CompletedGridRun, ...]:
    return asyncio.run(run_grid(cells, quiet, backends=all_roles(backend or micro_backend())))


class TestGrid:
    def test_every_combination_with_every_seed(self, tmp_path: Path) -> None:
        base = settings(tmp_path)
        cells = grid(base, {"adaptation.batch_size": (1, 4), "adaptation.max_rounds": (1, 3)}, seeds=2)
        assert [cell.row for cell in cells][::2] == [
            "batch_size=1 max_rounds=1",
            "batch_size=1 max_rounds=3",
            "batch_size=4 max_rounds=1",
            "batch_size=4 max_rounds=3",
        ]
        assert [cell.seed for cell in cells] == [0, 1] * 4
        assert [cell.settings.task.micro.seed for cell in cells[:2]] == [3, 4]
        assert cells[6].settings.adaptation.batch_size == 4

    def test_nothing_varied_is_the_run_itself(self, tmp_path: Path) -> None:
        base = settings(tmp_path)
        (cell,) = grid(base, {})
        assert (cell.row, cell.settings.digest) == ("as configured", base.digest)

    @pytest.mark.parametrize(
        ("text", "key", "values"),
        [
            ("adaptation.batch_size=1,16", "adaptation.batch_size", (1, 16)),
            ("batch_size=1", "adaptation.batch_size", (1,)),
            ("method=ace,icl", "adaptation.method", ("ace", "icl")),
            ("task.micro.seed=5", "task.micro.seed", (5,)),
            ("roles.generator.temperature=0.0, 0.7", "roles.generator.temperature", (0.0, 0.7)),
            ("playbook.dedup={enabled: false}", "playbook.dedup", ({"enabled": False},)),
        ],
    )
    def test_what_can_be_varied(self, tmp_path: Path, text: str, key: str, values: tuple[Any, ...]) -> None:
        assert parse_vary(text, settings(tmp_path)) == (key, values)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("batch_size", "KEY=VALUE,VALUE"),
            ("temperature=0,1", "a whole key: roles.generator.temperature"),
            ("batch_sise=1", r"did you mean 'adaptation.batch_size'"),
            ("batch_size=[1", "YAML values"),
        ],
    )
    def test_what_cannot(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            parse_vary(text, settings(tmp_path))

    def test_a_wrong_value_is_found_before_anything_runs(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"adaptation\.batch_size"):
            grid(settings(tmp_path), {"adaptation.batch_size": (1, 0)})


@pytest.mark.slow
class TestCells:
    def test_finished_cells_are_not_run_again(self, tmp_path: Path) -> None:
        cells = grid(settings(tmp_path), {"adaptation.batch_size": (1, 3)}, seeds=2)
        first = run_all(cells)
        backend = micro_backend()
        second = run_all(cells, backend)
        assert backend.requests == []
        assert [known.run for known in second] == [known.run for known in first]
        assert all(known.reused for known in second)

    def test_another_playbook_to_begin_with_is_another_run(self, tmp_path: Path) -> None:
        file = tmp_path / "first.txt"
        file.write_text("[trm-00001] kujant -> XXX\n")
        base = settings(tmp_path, playbook__initial=str(file))
        first = run_all(grid(base, {}))
        file.write_text("[trm-00001] kujant -> YYY\n")
        assert run_all(grid(base, {}))[0].run != first[0].run

    def test_a_broken_cell_goes_on(self, tmp_path: Path) -> None:
        cells = grid(settings(tmp_path, cache="none"), {})
        player, asked = ScriptedMicroModel(), 0

        def breaks(request: Any) -> str:
            nonlocal asked
            asked += 1
            if asked == 12:
                raise RuntimeError("power")
            return player(request)

        with pytest.raises(RuntimeError, match="power"):
            run_all(cells, ScriptedBackend(breaks))
        backend = micro_backend()
        (known,) = run_all(cells, backend)
        whole = micro_backend()
        other = tmp_path / "other"
        other.mkdir()
        run_all(grid(settings(other, cache="none"), {}), whole)
        assert known.summary.status == "done"
        assert len(backend.requests) < len(whole.requests)

    def test_the_table(self, tmp_path: Path) -> None:
        base = settings(tmp_path)
        table = leaderboard(run_all(grid(base, {"adaptation.method": ("ace", "empty")}, seeds=2)))
        ace, empty = table.rows
        assert (ace.accuracy, empty.accuracy, ace.samples) == (1.0, 0.0, 8)
        assert ace.against_first is None
        assert empty.against_first is not None
        assert (empty.against_first.only_a, empty.against_first.only_b) == (8, 0)
        assert empty.p_corrected == pytest.approx(2 / 2**8)
        assert (ace.by_seed, ace.interval.method) == ((1.0, 1.0), "wilson")
        assert json.loads(json.dumps(table.to_json()))["rows"][1]["name"] == "method=empty"

    def test_rows_over_other_samples_cannot_be_compared(self, tmp_path: Path) -> None:
        runs = run_all(grid(settings(tmp_path), {"task.micro.seed": (3, 4)}))
        with pytest.raises(DataError, match="its test samples are not those of the first row"):
            leaderboard(runs)

    def test_no_test_split(self, tmp_path: Path) -> None:
        runs = run_all(grid(settings(tmp_path, task__micro__test=0), {}))
        with pytest.raises(RunNotFoundError, match="no evaluation 'after'"):
            leaderboard(runs)


@pytest.mark.slow
class TestBaselines:
    def test_all_of_them_run_in_one_harness(self, tmp_path: Path) -> None:
        table = leaderboard(run_all(baseline_runs(settings(tmp_path))))
        assert {row.name: row.accuracy for row in table.rows} == {
            "ACE as configured": 1.0,
            "ACE, one sample at a time": 1.0,
            "full rewrite": 1.0,
            "examples in the prompt": 0.0,
            "empty playbook": 0.0,
        }

    def test_examples_fill_the_budget_and_no_more(self, tmp_path: Path) -> None:
        summary, store = learn(tmp_path, micro_backend(), adaptation__method="icl", playbook__token_budget=60)
        with store:
            bullets = store.playbook(summary.run).bullets
            calls = store.usage_by_role(summary.run)
        assert 1 <= len(bullets) < 6
        assert all(" => " in bullet.content for bullet in bullets)
        assert set(calls) == {"generator"}

    def test_examples_leave_half_of_the_context_for_the_rest(self, tmp_path: Path) -> None:
        summary, store = learn(tmp_path, micro_backend(120), adaptation__method="icl")
        with store:
            playbook = store.playbook(summary.run)
        count = micro_backend().count_tokens
        rendered = count(render(playbook, load_pack("micro").formats))
        assert 1 <= len(playbook.bullets) < 6 and rendered <= 60

    def test_examples_need_no_sections(self, tmp_path: Path) -> None:
        pack = tmp_path / "pack"
        shutil.copytree(Path(str(resources.files("ace.prompts"))) / "packs" / "micro", pack)
        manifest = (pack / "pack.yaml").read_text()
        (pack / "pack.yaml").write_text(manifest[: manifest.index("sections:")])
        summary, store = learn(tmp_path, micro_backend(), adaptation__method="icl", prompts=str(pack))
        with store:
            assert len(store.playbook(summary.run).bullets) == 6

    def test_examples_need_labels(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="method 'icl'"):
            settings(tmp_path, adaptation__method="icl", adaptation__labels="none")

    def test_a_rewrite_keeps_what_the_curator_writes_and_nothing_else(self, tmp_path: Path) -> None:
        """A curator that writes at most three bullets loses the others, which ACE's small deltas keep."""

        class Forgetful(ScriptedMicroModel):
            def _curate(self, request: Any) -> str:
                curation = json.loads(super()._curate(request))
                return json.dumps({**curation, "operations": curation["operations"][-3:]})

        summary, store = learn(tmp_path, ScriptedBackend(Forgetful()), adaptation__method="rewrite")
        with store:
            sizes = [len(store.playbook(summary.run, v.version)) for v in store.playbook_versions(summary.run)]
        assert sizes == [0, 3, 3, 3]

    def test_an_unreadable_rewrite_leaves_the_playbook(self, tmp_path: Path) -> None:
        class Silent(ScriptedMicroModel):
            def _curate(self, request: Any) -> str:
                return "..."

        file = tmp_path / "first.txt"
        file.write_text("[trm-00001] kujant -> XXX\n")
        summary, store = learn(
            tmp_path, ScriptedBackend(Silent()), adaptation__method="rewrite", playbook__initial=str(file)
        )
        with store:
            assert [b.content for b in store.playbook(summary.run).bullets] == ["kujant -> XXX"]


def learn(folder: Path, backend: ScriptedBackend, **changes: Any) -> tuple[Any, RunStore]:
    summary = asyncio.run(run(settings(folder, **changes), backends=all_roles(backend)))
    return summary, RunStore.open(f"sqlite:///{folder}/ace.db", create=False)


class TestCompare:
    def test_before_and_after(self, tmp_path: Path) -> None:
        summary, store = learn(tmp_path, micro_backend())
        with store:
            before, after = (evaluated(store, summary.run, label) for label in ("before", "after"))
            (found,) = compare_evaluations(before, [after])
        assert (found.test.difference, found.a.mean, found.b.mean) == (1.0, 0.0, 1.0)
        assert found.p_corrected == found.test.p == pytest.approx(2 / 2**4)
        assert [(one.better, one.answer_a) for one in found.disagreements] == [("b", "unknown")] * 4
        assert json.dumps(found.to_json())

    def test_failed_samples_are_counted_and_not_right(self, tmp_path: Path) -> None:
        summary, store = learn(tmp_path, micro_backend())
        with store:
            after = evaluated(store, summary.run)
        first, *_ = after.outcomes
        broken = replace(after.outcomes[first], status="failed", value=None, correct=None, error="TransientError: x")
        (found,) = compare_evaluations(after, [replace(after, outcomes={**after.outcomes, first: broken})])
        assert (found.b.failed, found.b.mean, found.test.only_a) == (1, 0.75, 1)
        assert found.disagreements[0].answer_b == "failed: TransientError: x"

    def test_other_samples(self, tmp_path: Path) -> None:
        summary, store = learn(tmp_path, micro_backend())
        with store:
            after = evaluated(store, summary.run)
        fewer = replace(after, outcomes=dict(list(after.outcomes.items())[1:]))
        with pytest.raises(DataError, match="3 in common, 1 in one alone, such as 'micro-3-test-000'"):
            compare_evaluations(after, [fewer])

    def test_no_such_evaluation(self, tmp_path: Path) -> None:
        summary, store = learn(tmp_path, micro_backend())
        with store, pytest.raises(RunNotFoundError, match="it has before, validation, after"):
            evaluated(store, summary.run, "midway")


def true_playbook(seed: int, *, harmful: int = 0) -> tuple[RunSettings | None, Playbook, set[str]]:
    """The rules of a world, in order, and behind them `harmful` ones that contradict the first; their ids."""
    world = make_world(seed, 6, 4, train=6, validation=12, test=4)
    lines = [Add(rule.section, rule.content) for rule in world.rules]
    wrong = [Add(rule.section, f"{rule.word} -> {rule.code[::-1]}9") for rule in world.rules[:harmful]]
    playbook = apply(Playbook.empty(), Delta((*lines, *wrong))).playbook
    return None, playbook, {bullet.id for bullet in playbook.bullets[len(lines) :]}


def credit_settings(folder: Path, seed: int) -> RunSettings:
    micro = {"seed": seed, "terms": 6, "modifiers": 4, "train": 6, "validation": 12, "test": 4}
    return settings(folder, task={"name": "micro", "micro": micro})


class TestCredit:
    @pytest.mark.slow
    def test_planted_harmful_bullets_come_last(self, tmp_path: Path) -> None:
        """In all of six worlds; `python -m benchmarks credit` tells how often in forty."""
        for seed in range(6):
            _, playbook, harmful = true_playbook(seed, harmful=2)
            credit = asyncio.run(
                measure_credit(credit_settings(tmp_path, seed), playbook, backends=all_roles(micro_backend()))
            )
            assert {bullet.name for bullet in credit.ranking[-2:]} == harmful
            assert all(bullet.effect < 0 for bullet in credit.ranking[-2:])

    def test_asked_again_it_is_found_in_the_store(self, tmp_path: Path) -> None:
        _, playbook, _ = true_playbook(1)
        first = asyncio.run(measure_credit(credit_settings(tmp_path, 1), playbook, backends=all_roles(micro_backend())))
        backend = micro_backend()
        again = asyncio.run(measure_credit(credit_settings(tmp_path, 1), playbook, backends=all_roles(backend)))
        assert (again, backend.requests) == (first, [])
        assert json.dumps(again.to_json())

    def test_a_budget_stops_it_and_a_larger_one_goes_on(self, tmp_path: Path) -> None:
        _, playbook, _ = true_playbook(1)
        base = credit_settings(tmp_path, 1)
        small = base.model_copy(update={"budget": base.budget.model_copy(update={"calls": 30})})
        with pytest.raises(BudgetReachedError, match="reached its budget"):
            asyncio.run(measure_credit(small, playbook, backends=all_roles(micro_backend())))
        backend = micro_backend()
        asyncio.run(measure_credit(base, playbook, backends=all_roles(backend)))
        groups = len(playbook) + 1
        assert len(backend.requests) < groups * 12

    def test_by_section(self, tmp_path: Path) -> None:
        _, playbook, _ = true_playbook(2)
        credit = asyncio.run(
            measure_credit(credit_settings(tmp_path, 2), playbook, group="section", backends=all_roles(micro_backend()))
        )
        assert {held.name for held in credit.ranking} == {"trm", "mod"}
        assert all(held.effect == 1.0 for held in credit.ranking)

    def test_without_a_bullet_the_prefix_before_it_stays(self) -> None:
        _, playbook, _ = true_playbook(2)
        shorter = without(playbook, [playbook.bullets[4]])
        assert [b.content for b in shorter.bullets] == [
            b.content for number, b in enumerate(playbook.bullets) if number != 4
        ]

    def test_an_empty_split_and_an_empty_playbook(self, tmp_path: Path) -> None:
        _, playbook, _ = true_playbook(1)
        bare = settings(tmp_path, task__micro__validation=0)
        with pytest.raises(DataError, match=r"the validation split is empty \(train 6, validation 0, test 4\)"):
            asyncio.run(measure_credit(bare, playbook, backends=all_roles(micro_backend())))
        with pytest.raises(DataError, match="no bullets"):
            asyncio.run(measure_credit(settings(tmp_path), Playbook.empty(), backends=all_roles(micro_backend())))

    def test_a_probe_is_no_run_to_resume(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="mode"):
            asyncio.run(run(settings(tmp_path, mode="probe"), backends=all_roles(micro_backend())))


@pytest.mark.slow
class TestHistory:
    def test_the_version_that_made_a_sample_wrong(self, tmp_path: Path) -> None:
        """A reflector that slips teaches a wrong rule in the second epoch."""
        summary, store = learn(
            tmp_path,
            ScriptedBackend(ScriptedMicroModel(slips=0.9)),
            adaptation__epochs=3,
            adaptation__batch_size=1,
            adaptation__validate_each_epoch=False,
        )
        base = settings(tmp_path, adaptation__epochs=3, adaptation__batch_size=1, adaptation__validate_each_epoch=False)
        turned: list[Any] = []
        with store:
            train = [outcome.sample_id for outcome in store.outcomes(summary.run)][:6]
        for sample in train:
            history = asyncio.run(
                trace_sample(base, summary.run, sample, backends=all_roles(ScriptedBackend(ScriptedMicroModel())))
            )
            assert history.answers[0].outcome.correct is False
            turned += history.regressions
        assert turned
        for turn in turned:
            assert turn.before.outcome.correct and not turn.after.outcome.correct
            assert not turn.difference.empty

    def test_an_unknown_sample(self, tmp_path: Path) -> None:
        summary, store = learn(tmp_path, micro_backend())
        store.close()
        with pytest.raises(DataError, match="its ids look like 'micro-3-"):
            asyncio.run(trace_sample(settings(tmp_path), summary.run, "nope", backends=all_roles(micro_backend())))
