"""A simulation of continuous batching: sequences join and leave a batch that steps, each step at the batch's price."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ace.bench.planning.engine_speed import EngineSpeed
from ace.bench.planning.workload import Chain, PlannedCall


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a simulation: of steps as such, of prompts and of answers; `tail_s` are those with few sequences.

    `tail_s` is a part of the sum: the seconds in which less than a quarter of the most sequences were running.
    """

    steps_s: float = 0.0
    prompts_s: float = 0.0
    answers_s: float = 0.0
    tail_s: float = 0.0

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.steps_s + self.prompts_s + self.answers_s

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.steps_s + other.steps_s,
            self.prompts_s + other.prompts_s,
            self.answers_s + other.answers_s,
            self.tail_s + other.tail_s,
        )

    def times(self, factor: float) -> Spent:
        """The same work so many times."""
        return Spent(self.steps_s * factor, self.prompts_s * factor, self.answers_s * factor, self.tail_s * factor)


def simulate_engines(speed: EngineSpeed, chains: Sequence[Chain]) -> Spent:
    """Run `chains` at once, divided among the engines. The slowest engine's time counts."""
    parts = [chains[number :: speed.engines] for number in range(speed.engines)]
    return max((_simulate(speed, part) for part in parts if part), key=lambda spent: spent.seconds, default=Spent())


def _simulate(speed: EngineSpeed, chains: Sequence[Chain]) -> Spent:
    """One engine. Each running sequence gets a token in each step; a sequence's first step computes its prompt."""
    waiting = deque((chain, 0) for chain in chains)
    most = min(len(chains), speed.slots)
    running: list[tuple[int, int, Chain, int]] = []  # the step after which it ends, a tie-breaker, the chain, its call
    step = number = 0
    steps_s = prompts_s = answers_s = tail_s = 0.0
    while waiting or running:
        while waiting and len(running) < speed.slots:
            chain, position = waiting.popleft()
            call: PlannedCall = chain[position]
            prompts_s += speed.token_s * call.computed
            number += 1
            heapq.heappush(running, (step + max(1, call.answer), number, chain, position))
        until = running[0][0]
        took, tokens = speed.step_s * (until - step), speed.token_s * (until - step) * len(running)
        steps_s, answers_s = steps_s + took, answers_s + tokens
        if len(running) * 4 < most:
            tail_s += took + tokens
        step = until
        while running and running[0][0] == step:
            _, _, chain, position = heapq.heappop(running)
            if position + 1 < len(chain):
                waiting.append((chain, position + 1))
    return Spent(steps_s, prompts_s, answers_s, tail_s)


def simulate_endpoint(concurrency: int, chains: Sequence[Chain]) -> float:
    """Seconds of `chains` at an endpoint that answers `concurrency` calls at once, each as fast as in the pilot."""
    waiting = deque((chain, 0) for chain in chains)
    running: list[tuple[float, int, Chain, int]] = []
    now, number = 0.0, 0
    while waiting or running:
        while waiting and len(running) < concurrency:
            chain, position = waiting.popleft()
            number += 1
            heapq.heappush(running, (now + chain[position].seconds, number, chain, position))
        now, _, chain, position = heapq.heappop(running)
        if position + 1 < len(chain):
            waiting.append((chain, position + 1))
    return now
