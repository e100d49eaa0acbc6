"""Whether the credit ranking finds bullets that harm: true playbooks with planted false bullets, many times.

A planted bullet contradicts a true one that stands before it, so that whoever follows it answers wrong.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ace.bench.machine import Machine
from ace.bench.tables import report, table
from ace.config import ModelSettings, RunSettings, settings_from
from ace.experiments import measure_credit
from ace.inference import create_backend
from ace.playbook import Add, Delta, Playbook, apply
from ace.tasks.micro.lexicon import MODIFIER_CODES, TERM_CODES, TERM_SECTION
from ace.tasks.micro.world import World, make_world
from ace.types import ROLES

TARGET = "micro-target"
TERMS, MODIFIERS = 12, 6
SPLITS = {"train": 0, "validation": 48, "test": 8}


@dataclass(frozen=True, slots=True)
class CreditReport:
    """`last` counts the trials in which the planted bullets took the last places, `negative` those in which all of them
    had a negative effect. `accuracy` is the mean with the planted bullets in, `seconds` that of one trial."""

    trials: int
    planted: int
    last: int
    negative: int
    accuracy: float
    seconds: float
    seed: int
    machine: Machine

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        columns = ("trials", "planted", "ranked last", "all with negative effect", "accuracy with them", "s a trial")
        row = (
            str(self.trials),
            str(self.planted),
            f"{self.last / self.trials:.0%}",
            f"{self.negative / self.trials:.0%}",
            f"{self.accuracy:.1%}",
            f"{self.seconds:.2f}",
        )
        command = f"ace bench credit --trials {self.trials} --planted {self.planted} --seed {self.seed}"
        return report(command, self.machine, table(columns, [row]))


def measure_credit_ranking(*, trials: int, planted: int, seed: int) -> CreditReport:
    """Rank the bullets of `trials` worlds with the micro model through vLLM. Raises what starting it raises."""
    return asyncio.run(_measure(trials, planted, seed))


async def _measure(trials: int, planted: int, seed: int) -> CreditReport:
    last = negative = 0
    accuracies: list[float] = []
    async with AsyncExitStack() as stack:
        backend = create_backend(ModelSettings(provider="vllm", model=TARGET, max_model_len=2048))
        stack.push_async_callback(backend.close)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ace-bench-")))
        started = time.perf_counter()
        for number in range(seed, seed + trials):
            playbook, false = with_planted(number, planted)
            settings = _settings(folder, number)
            credit = await measure_credit(settings, playbook, backends=dict.fromkeys(ROLES, backend))
            effects = {held.name: held.effect for held in credit.ranking}
            last += max(effects[name] for name in false) < min(effects[name] for name in effects if name not in false)
            negative += all(effects[name] < 0 for name in false)
            accuracies.append(credit.accuracy)
        seconds = (time.perf_counter() - started) / trials
    mean = sum(accuracies) / trials
    return CreditReport(trials, planted, last, negative, mean, seconds, seed, Machine.here())


def with_planted(seed: int, planted: int) -> tuple[Playbook, frozenset[str]]:
    """The true playbook of a world, with `planted` false bullets at its end, and their ids."""
    world: World = make_world(seed, TERMS, MODIFIERS, train=0, validation=SPLITS["validation"], test=SPLITS["test"])
    rng = random.Random(f"planted {seed}")
    used = set(world.codes.values())
    false = []
    for rule in rng.sample(world.rules, planted):
        codes = TERM_CODES if rule.section == TERM_SECTION else MODIFIER_CODES
        other = rng.choice([code for code in codes if code not in used])
        false.append(Add(rule.section, f"{rule.word} -> {other}"))
    true = [Add(rule.section, rule.content) for rule in world.rules]
    playbook = apply(Playbook.empty(), Delta((*true, *false))).playbook
    return playbook, frozenset(bullet.id for bullet in playbook.bullets[len(true) :])


def _settings(folder: Path, seed: int) -> RunSettings:
    return settings_from(
        {
            "name": "bench",
            "prompts": "micro",
            "store": f"sqlite:///{folder}/ace.db",
            "cache": "none",  # every call is to be made
            "task": {"name": "micro", "micro": {"seed": seed, "terms": TERMS, "modifiers": MODIFIERS, **SPLITS}},
            "models": {"main": {"provider": "vllm", "model": TARGET}},
            "roles": {role: {"max_tokens": 128, "temperature": 0.0, "top_p": 1.0} for role in ROLES},
        }
    )
