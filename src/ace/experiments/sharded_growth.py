"""Growth in shards: parts of the training samples adapted side by side from one playbook, and merged again and again.

A round gives each shard its next batches. Each shard is a run of its own in the store, so that it could as well be on
another machine; its playbooks are merged two by two against the one that all of them started from.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ace.config import RunSettings
from ace.engine import Listener, RunSummary, run
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.events import null_listener
from ace.engine.loop.schedule import plan_batches
from ace.engine.run_inputs import RunInputs, load_inputs
from ace.errors import BudgetReachedError, ConfigError, DataError
from ace.experiments.outcomes import evaluated, right
from ace.experiments.reuse import find_completed, find_resumable
from ace.experiments.statistics import Interval, mean_interval
from ace.inference import Backends, open_backends
from ace.inference.bindings import bind
from ace.playbook import Embedder, Playbook, combine_playbooks, create_embedder, enforce_budget
from ace.store import RunStore
from ace.tasks import Task
from ace.types import Sample


@dataclass(frozen=True, slots=True)
class ShardRound:
    """One round: its runs by shard, and what merging their playbooks dropped."""

    runs: tuple[str, ...]
    samples: int
    bullets: int
    conflicts: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class ShardedGrowth:
    """Growth with `shards` shards, and the accuracy on the test split at its end.

    `seconds` are wall-clock seconds of the rounds; those of runs that the store had already count nothing.
    """

    shards: int
    rounds: tuple[ShardRound, ...]
    playbook: Playbook
    evaluation: str
    accuracy: float
    interval: Interval
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "shards": self.shards,
            "rounds": [asdict(one) for one in self.rounds],
            "bullets": len(self.playbook),
            "playbook": self.playbook.digest,
            "evaluation": self.evaluation,
            "accuracy": self.accuracy,
            "interval": asdict(self.interval),
            "seconds": self.seconds,
        }


async def grow_in_shards(
    settings: RunSettings,
    shard_counts: Sequence[int],
    *,
    merge_every: int = 1,
    listener: Listener = null_listener,
    backends: Backends | None = None,
) -> tuple[ShardedGrowth, ...]:
    """Grow the playbook of `settings` once for each number of shards, on shared engines.

    Each shard works `merge_every` batches of `adaptation.batch_size` between two merges. The samples and their order
    are those of a single run, whatever the number of shards. Runs that the store has are not run again.

    ConfigError for settings that do not go with shards, DataError for a task without training or test samples; raises
    what `ace.engine.run` raises.
    """
    inputs = load_inputs(settings)
    _check(settings, inputs)
    growths = [_Growth(settings, inputs, shards, merge_every, listener) for shards in shard_counts]
    if backends is not None:
        return tuple([await growth.grow(backends) for growth in growths])
    async with open_backends(settings) as live:
        return tuple([await growth.grow(live) for growth in growths])


@dataclass(frozen=True)
class _Growth:
    """Growth with one number of shards."""

    settings: RunSettings
    inputs: RunInputs
    shards: int
    merge_every: int
    listener: Listener

    async def grow(self, backends: Backends) -> ShardedGrowth:
        embedder = create_embedder(self.settings.playbook.dedup)
        playbook, rounds, began = self.inputs.playbook, [], time.perf_counter()
        for parts in self._rounds():
            summaries = await gather_all(self._adapt(part, playbook, backends) for part in parts)
            grown = [self._grown(summary) for summary in summaries]
            playbook, conflicts, duplicates = merge_tree(
                grown, playbook, embedder, self.settings.playbook.dedup.threshold
            )
            playbook = self._within_budget(playbook, backends)
            runs = tuple(summary.run for summary in summaries)
            rounds.append(ShardRound(runs, sum(map(len, parts)), len(playbook), conflicts, duplicates))
        seconds = time.perf_counter() - began
        evaluation = await self._evaluate(playbook, backends)
        with RunStore.open(self.settings.store, create=False) as store:
            outcomes = evaluated(store, evaluation).outcomes.values()
        grades = [right(outcome) for outcome in outcomes]
        accuracy = sum(grades) / len(grades)
        return ShardedGrowth(self.shards, tuple(rounds), playbook, evaluation, accuracy, mean_interval(grades), seconds)

    def _rounds(self) -> list[list[tuple[Sample, ...]]]:
        """The samples of each shard in each round."""
        adaptation = self.settings.adaptation
        assert isinstance(adaptation.batch_size, int)
        plans = plan_batches(
            self.inputs.task.splits.train,
            epochs=adaptation.epochs,
            batch_size=adaptation.batch_size * self.merge_every,
            shuffle=adaptation.shuffle,
            seed=self.settings.seed,
        )
        parts = [plan.samples for plan in plans]
        return [parts[start : start + self.shards] for start in range(0, len(parts), self.shards)]

    async def _adapt(self, samples: tuple[Sample, ...], playbook: Playbook, backends: Backends) -> RunSummary:
        """Adapt one shard, or take what the store has of that."""
        once = {"epochs": 1, "shuffle": False, "validate_each_epoch": False}
        settings = self.settings.model_copy(
            update={
                "name": f"{self.settings.name}-shard",
                "adaptation": self.settings.adaptation.model_copy(update=once),
                "evaluation": self.settings.evaluation.model_copy(update={"before": False, "after": False}),
            }
        )
        return await self._run(settings, _with_training(self.inputs.task, samples), playbook, backends)

    async def _evaluate(self, playbook: Playbook, backends: Backends) -> str:
        """Evaluate the test split, and return the run that did."""
        settings = self.settings.model_copy(update={"name": f"{self.settings.name}-shards", "mode": "evaluate"})
        return (await self._run(settings, self.inputs.task, playbook, backends)).run

    async def _run(self, settings: RunSettings, task: Task, playbook: Playbook, backends: Backends) -> RunSummary:
        inputs = load_inputs(settings, task=task, playbook=playbook)
        completed = find_completed(settings, inputs)
        if completed is not None and completed.summary is not None:
            return RunSummary.from_json(completed.summary)
        resume = find_resumable(settings, inputs)
        summary = await run(
            settings, listener=self.listener, resume=resume, backends=backends, task=task, playbook=playbook
        )
        if summary.status == "budget":
            raise BudgetReachedError(f"shard {summary.run} reached its budget: a larger one goes on from there")
        return summary

    def _within_budget(self, playbook: Playbook, backends: Backends) -> Playbook:
        """Evict what exceeds the token budget: each shard was within it, together they need not be."""
        bindings = bind(self.settings, backends)
        limit = self.settings.playbook.budget(bindings.context)
        if limit is None:
            return playbook
        count_tokens = bindings.get("generator").backend.count_tokens
        return enforce_budget(playbook, count_tokens, limit, self.inputs.pack.formats).playbook

    def _grown(self, summary: RunSummary) -> Playbook:
        with RunStore.open(self.settings.store, create=False) as store:
            return store.playbook(summary.run, summary.playbook_version)


def merge_tree(
    playbooks: Sequence[Playbook], base: Playbook, embedder: Embedder, threshold: float
) -> tuple[Playbook, int, int]:
    """Merge `playbooks`, all grown from `base`, two by two in their order; also the conflicts and duplicates dropped.

    The result depends on the order alone, not on which shard was done first. One playbook is left as it is.
    """
    level, conflicts, duplicates = list(playbooks), 0, 0
    while len(level) > 1:
        merged = []
        for start in range(0, len(level), 2):
            pair = level[start : start + 2]
            if len(pair) == 1:
                merged += pair
                continue
            combined = combine_playbooks(pair, base=base, embedder=embedder, threshold=threshold)
            conflicts += len(combined.conflicts)
            duplicates += len(combined.duplicates)
            merged.append(combined.playbook)
        level = merged
    return level[0], conflicts, duplicates


def _check(settings: RunSettings, inputs: RunInputs) -> None:
    if settings.mode != "offline":
        raise ConfigError.at("mode", settings.mode, "offline, with shards")
    if settings.adaptation.batch_size == "auto":
        raise ConfigError.at("adaptation.batch_size", "auto", "a number, with shards")
    if settings.adaptation.method != "ace":
        raise ConfigError.at("adaptation.method", settings.adaptation.method, "ace, with shards")
    for name in ("train", "test"):
        if not getattr(inputs.task.splits, name):
            raise DataError(f"the {name} split of task '{inputs.task.name}' is empty: shards need both")
    _with_training(inputs.task, inputs.task.splits.train)


def _with_training(task: Task, samples: tuple[Sample, ...]) -> Task:
    """The same task with other training samples."""
    part = copy.copy(task)
    try:
        object.__setattr__(part, "splits", replace(task.splits, train=samples))
    except AttributeError:
        raise ConfigError.at("task.name", task.name, "a task whose splits are an attribute, with shards") from None
    return part
