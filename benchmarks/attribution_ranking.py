"""Rank of planted harmful bullets in the credit ranking of true playbooks, many times.

A planted bullet contradicts a true one that stands before it. Not every such bullet harms: the model may keep to the
true one. So harm is measured before the ranking is asked: on the validation split fewer answers are right with the
bullet than without it, all other planted ones in place. A candidate that passes this is kept, another one is drawn for
one that does not. The ranking is then made on the test split, which shares no question with the validation split.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ace.bench.adaptation_runs.micro_settings import greedy, micro_run
from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Report
from ace.config import ModelSettings, RunSettings
from ace.engine.run_inputs import load_inputs
from ace.engine.variant_evaluation import Variant, probe
from ace.experiments import measure_credit
from ace.experiments.attribution import WHOLE, probe_settings, without
from ace.experiments.outcomes import evaluated, right
from ace.inference import Backend, create_backend
from ace.playbook import Add, Delta, Playbook, apply
from ace.store import RunStore
from ace.tasks.micro.lexicon import MODIFIER_CODES, TERM_CODES, TERM_SECTION
from ace.tasks.micro.micro_world import World, make_world
from ace.types import ROLES

TARGET = "micro-target"
TERMS, MODIFIERS = 12, 8
SPLITS = {"train": 0, "validation": 36, "test": 60}

Backends = Mapping[str, Backend]


@dataclass(frozen=True, slots=True)
class CreditReport(Report):
    """All trials together.

    `last` counts the trials in which the planted bullets took the last places, `negative` those in which all of them
    had a negative effect. `rejected` counts, over all trials, the candidates that did not harm. `accuracy` is the mean
    on the test split with the planted bullets in, `seconds` that of one trial.
    """

    trials: int
    planted: int
    rejected: int
    last: int
    negative: int
    accuracy: float
    seconds: float
    seed: int
    machine: Machine

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it, and below it what was measured on what."""
        columns = (
            "trials",
            "harmful bullets in each",
            "candidates that did not harm",
            "ranked last",
            "all with negative effect",
            "accuracy with them",
            "s a trial",
        )
        drawn = self.trials * self.planted + self.rejected
        row = (
            str(self.trials),
            str(self.planted),
            f"{self.rejected} of {drawn}",
            f"{self.last / self.trials:.1%}",
            f"{self.negative / self.trials:.1%}",
            f"{self.accuracy:.1%}",
            f"{self.seconds:.2f}",
        )
        command = f"python -m benchmarks credit --trials {self.trials} --planted {self.planted} --seed {self.seed}"
        note = (
            f"Harm was measured on {SPLITS['validation']} validation questions, the ranking on {SPLITS['test']} other "
            "questions. A candidate that did not harm was replaced by another."
        )
        return report(command, self.machine, table(columns, [row]), note)


def measure_credit_ranking(*, trials: int, planted: int, seed: int) -> CreditReport:
    """Rank the bullets of `trials` worlds with the micro model through vLLM. Raises what starting it raises."""
    return asyncio.run(_measure(trials, planted, seed))


async def _measure(trials: int, planted: int, seed: int) -> CreditReport:
    last = negative = rejected = 0
    accuracies: list[float] = []
    async with AsyncExitStack() as stack:
        backend = create_backend(ModelSettings(provider="vllm", model=TARGET, max_model_len=2048))
        stack.push_async_callback(backend.close)
        backends = {"main": backend}
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ace-bench-")))
        started = time.perf_counter()
        for number in range(seed, seed + trials):
            settings = attribution_settings(folder, number)
            planted_runs = await plant_harmful(settings, number, planted, backends)
            credit = await measure_credit(settings, planted_runs.playbook, split="test", backends=backends)
            effects = {ranked.name: ranked.effect for ranked in credit.ranking}
            harmful = [effects.pop(name) for name in planted_runs.harmful]
            last += max(harmful) < min(effects.values())
            negative += max(harmful) < 0
            rejected += planted_runs.rejected
            accuracies.append(credit.accuracy)
        seconds = (time.perf_counter() - started) / trials
    mean = sum(accuracies) / trials
    return CreditReport(trials, planted, rejected, last, negative, mean, seconds, seed, Machine.here())


@dataclass(frozen=True, slots=True)
class Planted:
    """A true playbook with harmful bullets at its end, their ids, and how many candidates did not harm."""

    playbook: Playbook
    harmful: frozenset[str]
    rejected: int


async def plant_harmful(settings: RunSettings, seed: int, planted: int, backends: Backends) -> Planted:
    """The playbook of the world of `seed` with `planted` bullets, each of which harms on the validation split.

    RuntimeError where the model follows too few of the world's false bullets.
    """
    world = make_world(seed, TERMS, MODIFIERS, train=0, validation=SPLITS["validation"], test=SPLITS["test"])
    true = tuple(Add(rule.section, rule.content) for rule in world.rules)
    candidates = _false_bullets(world)
    chosen: list[Add] = []
    rejected = 0
    while True:
        chosen += [false for false, _ in zip(candidates, range(planted - len(chosen)), strict=False)]
        if len(chosen) < planted:
            raise RuntimeError(f"world {seed}: only {len(chosen)} of its false bullets harm, {planted} are wanted")
        playbook = apply(Playbook.empty(), Delta((*true, *chosen))).playbook
        places = [bullet.id for bullet in playbook.bullets[len(true) :]]
        harms = await _harms(settings, playbook, places, backends, turn=rejected)
        if all(harms):
            return Planted(playbook, frozenset(places), rejected)
        rejected += harms.count(False)
        chosen = [false for false, harm in zip(chosen, harms, strict=True) if harm]


def _false_bullets(world: World) -> Iterator[Add]:
    """One for each word of the world, in a random order, with a code that no word has."""
    rng = random.Random(f"planted {world.seed}")
    used = set(world.codes.values())
    for rule in rng.sample(world.rules, len(world.rules)):
        codes = TERM_CODES if rule.section == TERM_SECTION else MODIFIER_CODES
        yield Add(rule.section, f"{rule.word} -> {rng.choice([code for code in codes if code not in used])}")


async def _harms(
    settings: RunSettings, playbook: Playbook, ids: Sequence[str], backends: Backends, *, turn: int
) -> list[bool]:
    """For each of these bullets whether fewer answers are right with it than without it."""
    settings = probe_settings(settings, f"planted-{turn}")
    parts = replace(load_inputs(settings), playbook=playbook)
    bullets = {bullet.id: bullet for bullet in playbook.bullets}
    variants = [Variant(WHOLE, playbook), *(Variant(name, without(playbook, [bullets[name]])) for name in ids)]
    summary = await probe(
        settings, parts, variants, parts.task.splits.validation, split="validation", backends=backends
    )
    with RunStore.open(settings.store, create=False) as store:
        correct = {
            variant.label: sum(map(right, evaluated(store, summary.run, variant.label).outcomes.values()))
            for variant in variants
        }
    return [correct[name] > correct[WHOLE] for name in ids]


def attribution_settings(folder: Path, seed: int) -> RunSettings:
    """A greedy run of the micro target on the world of `seed`."""
    return micro_run(
        folder / "ace.db",
        {"seed": seed, "terms": TERMS, "modifiers": MODIFIERS, **SPLITS},
        models={"main": {"provider": "vllm", "model": TARGET}},
        roles=greedy((128,) * len(ROLES)),
    )
