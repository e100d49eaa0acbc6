"""A simulation of continuous batching: sequences join and leave a batch that steps, each step at its price."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from ace.bench.planning.engine_speed import EngineSpeed
from ace.bench.planning.pilot import Chain, PlannedCall


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a simulation.

    `steps_s` is what the same steps would take with one sequence, `answers_s` what the others add, `prompts_s` what
    computing prompts adds, and `requests_s` what taking requests in adds. `tail_s` is a part of the first two: steps
    with less than a quarter of the most sequences.
    """

    steps_s: float = 0.0
    answers_s: float = 0.0
    prompts_s: float = 0.0
    requests_s: float = 0.0
    tail_s: float = 0.0

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.steps_s + self.answers_s + self.prompts_s + self.requests_s

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def times(self, factor: float) -> Spent:
        """The same work so many times."""
        return Spent(*(seconds * factor for seconds in astuple(self)))


LATE = 2
"""Steps that others make between the end of a call and the start of the one that follows it: the next prompt is made
meanwhile, and its grammar looked up. Counted in runs of the micro model."""


def simulate_engines(speed: EngineSpeed, chains: Sequence[Chain], *, prefix: int = 0) -> Spent:
    """Run `chains` at once, divided among the engines. The slowest engine's time counts.

    `prefix` tokens of the shared beginning are new: each engine computes them once.
    """
    parts = [chains[number :: speed.engines] for number in range(speed.engines)]
    spent = [_simulate(speed, part, prefix) for part in parts if part]
    return max(spent, key=lambda each: each.seconds, default=Spent())


def _simulate(speed: EngineSpeed, chains: Sequence[Chain], prefix: int) -> Spent:
    """One engine. Each running sequence gets a token in each step; a sequence's first step computes its prompt."""
    waiting = deque((0, chain, 0) for chain in chains)  # the step from which on a call can start, its chain, its place
    most = min(len(chains), speed.slots)
    running: list[tuple[int, int, Chain, int]] = []  # the step after which it ends, a tie-breaker, the chain, its call
    step = number = context = 0
    steps_s = answers_s = prompts_s = requests_s = tail_s = 0.0
    while waiting or running:
        if not running:
            step = max(step, waiting[0][0])
        computed, prefix = prefix, 0
        while waiting and waiting[0][0] <= step and len(running) < speed.slots:
            _, chain, position = waiting.popleft()
            call: PlannedCall = chain[position]
            computed += call.computed
            context += call.prompt
            requests_s += speed.request_s
            number += 1
            heapq.heappush(running, (step + max(1, call.answer), number, chain, position))
        prompts_s += speed.prefill_s(computed)
        until, sequences = running[0][0], len(running)
        if waiting and step < waiting[0][0] < until and sequences < speed.slots:
            until = waiting[0][0]
        steps = until - step
        length = context / sequences + steps / 2
        alone_s = steps * speed.step_s(1, length)
        together_s = steps * speed.step_s(sequences, length)
        steps_s, answers_s = steps_s + alone_s, answers_s + together_s - alone_s
        if sequences * 4 < most:
            tail_s += together_s
        step = until
        context += steps * sequences
        while running and running[0][0] == step:
            _, _, chain, position = heapq.heappop(running)
            context -= chain[position].prompt + max(1, chain[position].answer)
            if position + 1 < len(chain):
                waiting.append((step + LATE, chain, position + 1))
    return Spent(steps_s, answers_s, prompts_s, requests_s, tail_s)


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
