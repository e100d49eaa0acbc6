"""The plan of a run as rows of a table."""

from __future__ import annotations

from ace.bench.planning.run_plan import RunPlan
from ace.reporting.text import percent

ADVICE = {
    "steps, however many sequences": "each step reads the weights once, for however few sequences: larger batches",
    "answers of more sequences": "the engine is busy with answers: more engines, or fewer tokens in answers",
    "prompts": "the engine is busy with prompts: more engines, or a smaller playbook.token_budget",
    "the last few sequences of a batch": "long answers outlast their batch: larger batches, adaptation.pipeline: 1",
    "outside the engine": "the loop's own work and waiting: larger batches",
    "waiting for the endpoint": "models.*.max_concurrency, as far as the endpoint's limits go",
}


def plan_rows(plan: RunPlan) -> list[tuple[str, str]]:
    """A name and a text for each row of a plan, the most important first."""
    prompt, computed, answer = (
        sum(tokens.values()) for tokens in (plan.prompt_tokens, plan.computed_tokens, plan.answer_tokens)
    )
    shares = sorted(plan.shares.items(), key=lambda item: -item[1])
    engines = "" if plan.engines == 1 else f" on {plan.engines} engines"
    rows = [
        ("time", f"{duration(plan.wall_s)}{engines}"),
        ("adaptation", f"{duration(plan.adapt_s)}: {_whole(plan.samples)} samples, {_batches(plan)}"),
        ("evaluations", f"{duration(plan.evaluate_s)}, as many and as large as the pilot's"),
        ("calls", ", ".join(f"{_whole(count)} {role}" for role, count in plan.calls.items())),
        ("tokens", f"{_rough(prompt)} in prompts, {_served(prompt, computed)}; {_rough(answer)} in answers"),
        ("money", "unknown: models.*.price has no prices" if plan.money is None else f"{plan.money:,.2f}"),
        ("playbook", f"{_whole(plan.bullets)} bullets more at the end"),
        ("slowest part", f"{plan.bottleneck}, {plan.shares[plan.bottleneck]:.0%}: {ADVICE[plan.bottleneck]}"),
        ("parts", ", ".join(f"{name} {share:.0%}" for name, share in shares if share >= 0.01)),
    ]
    rows += [(f"with {name}", _change(seconds, plan.adapt_s)) for name, seconds in plan.alternatives.items()]
    rows.append(("assumes", f"samples like the {plan.pilot_samples} of pilot {plan.pilot}; engine: {plan.source}"))
    if plan.growing:
        rows.append(("unsure", "the pilot's playbook was still growing; a longer pilot says more"))
    return rows


def duration(seconds: float) -> str:
    """Two digits that count: `0.4 s`, `42 s`, `3.5 min`, `26 min`, `5.1 h`, `12 days`."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{_two_digits(seconds / size)} {unit}"
    return f"{_two_digits(seconds)} s"


def _two_digits(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def _batches(plan: RunPlan) -> str:
    return f"{_whole(plan.batches)} {'batch' if plan.batches == 1 else 'batches'} of up to {plan.batch_size}"


def _served(prompt: int, computed: int) -> str:
    return f"{percent(1 - computed / prompt)} of them from the prefix cache" if prompt else "none of them cached"


def _change(seconds: float, now: float) -> str:
    ratio = now / seconds if seconds else 1.0
    return f"adaptation {duration(seconds)}, {ratio:.1f} times as fast"


def _whole(value: int) -> str:
    return f"{value:,}"


def _rough(tokens: int) -> str:
    """`950`, `12,300`, `3.4 million`, `2.1 billion`."""
    for unit, size in (("billion", 10**9), ("million", 10**6)):
        if tokens >= size:
            return f"{_two_digits(tokens / size)} {unit}"
    return _whole(tokens)
