"""Leave-one-out attribution of bullets on held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ace.config import RunSettings
from ace.engine import Listener
from ace.engine.events import null_listener
from ace.engine.run_inputs import RunInputs, load_inputs
from ace.engine.variant_evaluation import Variant, probe
from ace.errors import BudgetReachedError, DataError
from ace.experiments.comparison import Measure, paired
from ace.experiments.outcomes import evaluated
from ace.experiments.reuse import find_completed, find_resumable
from ace.experiments.statistics import PairedTest, holm
from ace.inference import Backends
from ace.playbook import Bullet, Delta, Playbook, Remove, apply
from ace.store import CreditRecord, RunStore
from ace.store.records import utcnow
from ace.types import Sample

SplitName = Literal["train", "validation", "test"]
Grouping = Literal["bullet", "section"]

WHOLE = "all"


@dataclass(frozen=True, slots=True)
class BulletCredit:
    """The effect of one bullet, or of all bullets of a section.

    `test` compares without (a) and with (b): a positive difference is the loss without it. `p_corrected` is Holm's over
    all groups.
    """

    bullets: tuple[Bullet, ...]
    test: PairedTest
    p_corrected: float

    @property
    def name(self) -> str:
        """The bullet's id, or the section's slug."""
        return self.bullets[0].id if len(self.bullets) == 1 else self.bullets[0].section

    @property
    def effect(self) -> float:
        return self.test.difference


@dataclass(frozen=True, slots=True)
class Credit:
    """The effects of all groups, the most useful first. `run` is the probe with the evaluations."""

    run: str
    split: str
    samples: int
    measure: Measure
    accuracy: float
    ranking: tuple[BulletCredit, ...]

    def records(self, version: int) -> tuple[CreditRecord, ...]:
        """The effects of single bullets of playbook `version`, as the store keeps them."""
        now = utcnow()
        return tuple(
            CreditRecord(
                each.bullets[0].id,
                each.bullets[0].content,
                version,
                self.split,
                self.samples,
                self.measure,
                each.effect,
                each.test.interval.low,
                each.test.interval.high,
                each.p_corrected,
                each.test.only_b,
                each.test.only_a,
                self.run,
                now,
            )
            for each in self.ranking
            if len(each.bullets) == 1
        )

    def to_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in ("run", "split", "samples", "measure", "accuracy")},
            "ranking": [
                {
                    "ids": [bullet.id for bullet in credit.bullets],
                    "content": [bullet.content for bullet in credit.bullets],
                    "effect": credit.effect,
                    "test": asdict(credit.test),
                    "p_corrected": credit.p_corrected,
                }
                for credit in self.ranking
            ],
        }


async def measure_credit(
    settings: RunSettings,
    playbook: Playbook,
    *,
    split: SplitName = "validation",
    limit: int | None = None,
    group: Grouping = "bullet",
    measure: Measure = "right",
    listener: Listener = null_listener,
    backends: Backends | None = None,
) -> Credit:
    """Evaluate `playbook` whole and without each group, and rank the groups by the loss without them.

    The evaluations are a run in the store: a second call reads them there, an interrupted one is resumed. DataError for
    a split without samples and a playbook without bullets; raises what `ace.engine.run` raises.
    """
    whole = playbook.compacted()
    settings = probe_settings(settings, f"credit-{split}-{group}-{limit or 'all'}")
    inputs = replace(load_inputs(settings), playbook=whole)
    samples = _samples(inputs, split, limit)
    groups = _groups(whole, group)
    variants = [Variant(WHOLE, whole), *(Variant(label, without(whole, bullets)) for label, bullets in groups.items())]
    run = await evaluate_variants(settings, inputs, variants, samples, split, listener, backends)
    with RunStore.open(settings.store, create=False) as store:
        with_all = evaluated(store, run, WHOLE)
        tests = [paired(evaluated(store, run, label), with_all, measure, seed=0) for label in groups]
    corrected = holm([test.p for test in tests])
    ranking = [
        BulletCredit(tuple(bullets), test, p)
        for bullets, test, p in zip(groups.values(), tests, corrected, strict=True)
    ]
    ranking.sort(key=lambda credit: (-credit.effect, credit.name))
    return Credit(run, split, len(samples), measure, tests[0].mean_b, tuple(ranking))


def harmful_bullets(ranking: Sequence[BulletCredit], *, useless: bool = False) -> list[Bullet]:
    """Select bullets with a negative effect, and with `useless` those without any."""
    return [b for each in ranking if each.effect < 0 or (useless and each.effect == 0) for b in each.bullets]


def harmful_by_counters(playbook: Playbook, *, useless: bool = False) -> list[Bullet]:
    """Select bullets tagged harmful more often than helpful, and with `useless` those tagged equally often."""
    limit = 0 if useless else -1
    return [b for b in playbook.bullets if b.counters.helpful - b.counters.harmful <= limit]


def without(playbook: Playbook, bullets: Sequence[Bullet]) -> Playbook:
    """Remove `bullets` from the playbook. The prefix before the first of them stays as it is."""
    removed = Delta(tuple(Remove(id=bullet.id, reason="left out") for bullet in bullets))
    return apply(playbook, removed).playbook.compacted()


async def evaluate_variants(
    settings: RunSettings,
    inputs: RunInputs,
    variants: Sequence[Variant],
    samples: Sequence[Sample],
    split: str,
    listener: Listener,
    backends: Backends | None,
) -> str:
    """Evaluate the variants in a run and return its id: a completed run of the store, a resumed one, or a new one."""
    completed = find_completed(settings, inputs)
    if completed is not None and completed.status == "done":
        return completed.id
    resume = find_resumable(settings, inputs)
    summary = await probe(
        settings, inputs, variants, samples, split=split, listener=listener, resume=resume, backends=backends
    )
    if summary.status == "budget":
        raise BudgetReachedError(
            f"{summary.run} reached its budget: its evaluations are stored, and resume with a larger one"
        )
    return summary.run


def probe_settings(settings: RunSettings, name: str) -> RunSettings:
    """Settings of a probe: a run that evaluates variants and adapts nothing."""
    playbook = settings.playbook.model_copy(update={"initial": None})
    return settings.model_copy(update={"mode": "probe", "name": name, "playbook": playbook})


def _samples(inputs: RunInputs, split: SplitName, limit: int | None) -> tuple[Sample, ...]:
    splits = inputs.task.splits
    samples: tuple[Sample, ...] = getattr(splits, split)
    if not samples:
        sizes = ", ".join(f"{name} {len(getattr(splits, name))}" for name in ("train", "validation", "test"))
        raise DataError(f"the {split} split is empty ({sizes}): choose another one with --split")
    return samples[:limit]


def _groups(playbook: Playbook, group: Grouping) -> dict[str, list[Bullet]]:
    """Group the bullets by the label of the evaluation without them."""
    groups: dict[str, list[Bullet]] = {}
    for bullet in playbook.bullets:
        name = bullet.id if group == "bullet" else bullet.section
        groups.setdefault(f"without {name}", []).append(bullet)
    if not groups:
        raise DataError("this playbook has no bullets")
    return groups
