"""The budget of a run, over all roles and all processes of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from ace.config import BudgetSettings, PriceSettings
from ace.errors import BudgetReachedError
from ace.inference import Bindings
from ace.store import RunReader
from ace.types import Usage

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Spent:
    """Spent budget: calls, tokens (prompt and completion), money in the price table's currency, seconds."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0
    wall_s: float = 0.0
    gpu_s: float = 0.0
    estimated: int = 0
    """The part of the tokens that no engine reported."""


class Spending:
    """Counts the spending of a run, and refuses calls once a limit is reached.

    `calls` is never exceeded. The other limits are checked with answered calls: they are exceeded by no more than the
    calls then in flight, whose answers are stored.
    """

    def __init__(
        self,
        limits: BudgetSettings,
        earlier: Spent = Spent(),
        *,
        gpus: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._gpus, self._clock, self._since = gpus, clock, clock()
        self._earlier = earlier
        self._calls, self._tokens, self._money = earlier.calls, earlier.tokens, earlier.money
        self._estimated = earlier.estimated

    @property
    def spent(self) -> Spent:
        """Spending up to now, with the calls in flight."""
        elapsed = self._clock() - self._since
        earlier = self._earlier
        return Spent(
            calls=self._calls,
            tokens=self._tokens,
            money=self._money,
            wall_s=earlier.wall_s + elapsed,
            gpu_s=earlier.gpu_s + elapsed * self._gpus,
            estimated=self._estimated,
        )

    def start(self) -> None:
        """Count a call that starts now. BudgetReachedError if nothing is left for it."""
        spent = self.spent
        for key in BudgetSettings.model_fields:
            limit, used = getattr(self._limits, key), getattr(spent, key)
            if limit is not None and used >= limit:
                estimated = spent.estimated if key in ("tokens", "money") else 0
                note = f" ({_number(estimated)} tokens are estimates: the endpoint does not report them)"
                raise BudgetReachedError(
                    f"budget.{key} is reached: {_number(used)} of {_number(limit)}{note if estimated else ''}",
                    key=f"budget.{key}",
                    limit=limit,
                    spent=used,
                )
        self._calls += 1

    def add(self, usage: Usage, price: PriceSettings | None = None) -> None:
        """Add the usage of an answered call at the price of its model."""
        self._tokens += usage.prompt_tokens + usage.completion_tokens
        self._estimated += usage.estimated_tokens
        self._money += cost(usage, price)


def cost(usage: Usage, price: PriceSettings | None) -> float:
    """Money for `usage`; cached prompt tokens at their own price if there is one. 0 without a price."""
    if price is None:
        return 0.0
    cached_price = price.input if price.cached is None else price.cached
    fresh = usage.prompt_tokens - usage.cached_tokens
    return (
        fresh * price.input + usage.cached_tokens * cached_price + usage.completion_tokens * price.output
    ) / _MILLION


def spent_so_far(store: RunReader, run: str, bindings: Bindings) -> Spent:
    """Add up what `run` spent by its records: answered calls, and the time of committed batches and evaluations."""
    used = store.usage_by_tier(run)
    worked = [(work.started, work.finished) for work in store.batches(run)]
    worked += [(work.started, work.finished) for work in store.evaluations(run)]
    wall = _covered_s(worked)
    return Spent(
        calls=sum(total.calls for total in used.values()),
        tokens=sum(total.usage.prompt_tokens + total.usage.completion_tokens for total in used.values()),
        money=sum(
            cost(total.usage, bindings.get(role, "larger" if escalated else "own").price)
            for (role, escalated), total in used.items()
        ),
        wall_s=wall,
        gpu_s=wall * bindings.gpus,
        estimated=sum(total.usage.estimated_tokens for total in used.values()),
    )


def _covered_s(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """Seconds that `spans` cover together; overlaps count once."""
    seconds, until = 0.0, None
    for started, finished in sorted(spans):
        begins = started if until is None else max(started, until)
        if finished > begins:
            seconds += (finished - begins).total_seconds()
            until = finished
    return seconds


def _number(value: float) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else f"{value:.4g}"
