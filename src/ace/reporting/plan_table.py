"""The plan of a run as rows of a table."""

from __future__ import annotations

from ace.bench.planning.run_plan import RunPlan

ADVICE = {
    "reading the weights once a step": "larger batches share a step among more answers",
    "decoding several answers at once": "more engines, or shorter answers",
    "reading prompts": "more engines, or a smaller playbook.token_budget",
    "waiting for the last answers of a batch": "larger batches, or adaptation.pipeline: 1",
    "outside the engine": "larger batches",
    "waiting for the endpoint": "a larger models.*.max_concurrency, as far as the endpoint's limits go",
}


def plan_rows(plan: RunPlan) -> list[tuple[str, str]]:
    """A name and a text for each row of a plan, the most important first."""
    prompt, computed, answer = (
        sum(tokens.values()) for tokens in (plan.prompt_tokens, plan.computed_tokens, plan.answer_tokens)
    )
    others = sorted(plan.shares.items(), key=lambda item: -item[1])[1:]
    rows = [
        ("time", _time(plan)),
        ("work", f"{plan.samples:,} samples, {_batches(plan)}; {_rough(plan.bullets)} bullets more in the end"),
        ("calls", ", ".join(f"{role} {_rough(count)}" for role, count in plan.calls.items())),
        ("tokens", f"{_rough(prompt)} in prompts, {_served(prompt, computed)}; {_rough(answer)} in answers"),
        ("money", _money(plan)),
        ("slowest", f"{plan.bottleneck}, {plan.shares[plan.bottleneck]:.0%}; what helps: {ADVICE[plan.bottleneck]}"),
        ("then", ", ".join(f"{name} {share:.0%}" for name, share in others if share >= 0.01) or "nothing"),
    ]
    rows += [(f"with {name}", _change(seconds, plan.adapt_s)) for name, seconds in plan.alternatives.items()]
    rows += [
        ("samples", f"like the {plan.pilot_samples} of pilot {plan.pilot}"),
        ("engine", plan.source),
    ]
    if plan.growing:
        rows.append(("unsure", "the pilot's playbook was still growing; a longer pilot says more"))
    return rows


def _time(plan: RunPlan) -> str:
    engines = "" if plan.engines == 1 else f" on {plan.engines} engines"
    if not plan.evaluate_s:
        return f"{duration(plan.adapt_s)}{engines}, without evaluations: the pilot had none"
    evaluations = f"evaluations {duration(plan.evaluate_s)}, as large as the pilot's"
    return f"{duration(plan.wall_s)}{engines}: adaptation {duration(plan.adapt_s)}, {evaluations}"


def duration(seconds: float) -> str:
    """Two digits that count: `0.4 s`, `42 s`, `3.5 min`, `26 min`, `5.1 h`, `12 days`."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{_two_digits(seconds / size)} {unit}"
    return f"{_two_digits(seconds)} s"


def _two_digits(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def _money(plan: RunPlan) -> str:
    if plan.money is None:
        return "unknown: neither models.*.price nor --gpu-hour"
    hours = "" if plan.gpu_hours is None else f" for {plan.gpu_hours:,.3g} GPU hours"
    return f"{plan.money:,.2f}{hours}"


def _batches(plan: RunPlan) -> str:
    return "1 batch" if plan.batches == 1 else f"{plan.batches:,} batches of {plan.batch_size}"


def _served(prompt: int, computed: int) -> str:
    return f"{1 - computed / prompt:.0%} of them from the prefix cache" if prompt else "none of them cached"


def _change(seconds: float, now: float) -> str:
    return f"adaptation {duration(seconds)}, {now / seconds if seconds else 1.0:.1f} times as fast"


def _rough(count: int) -> str:
    """Three digits that count: `950`, `12,300`, `3.4 million`, `2.1 billion`."""
    for unit, size in (("billion", 10**9), ("million", 10**6)):
        if count >= size:
            return f"{_two_digits(count / size)} {unit}"
    return f"{round(count, min(0, 3 - len(str(count)))):,}"
