"""Insights about several samples that share a target, of the phrases that their reflections name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ace.engine.calls.call_gateway import SAMPLE_ERRORS
from ace.engine.concurrency.task_groups import gather_all
from ace.engine.context import RunContext
from ace.engine.learning.sample_result import SampleResult
from ace.roles import (
    Fits,
    JointReflection,
    PhraseCheck,
    RoleResult,
    distinctive_phrases,
    name_common,
    name_phrases,
    rank_fitting,
    write_insight,
)
from ace.types import Sample


async def write_insights(
    context: RunContext,
    reflections: Mapping[str, Sequence[JointReflection]],
    results: Sequence[SampleResult],
    batch: int,
) -> tuple[dict[str, str], Sequence[RoleResult[PhraseCheck] | None]]:
    """An insight for each target, empty where no phrase is its own, and the calls that checked the phrases."""
    samples = _samples_by_target(results)
    phrases = name_phrases(context.pack, reflections)
    most = context.settings.adaptation.check_phrases
    checks: Sequence[RoleResult[PhraseCheck] | None] = ()
    if most:
        checked = {target: each[:most] for target, each in samples.items()}
        fits, checks = await _check_phrases(context, phrases, checked, batch)
        ranked = rank_fitting(phrases, fits)
        common = {target: selected[:1] for target, selected in ranked.items()}
    else:
        questions = {target: [sample.question for sample in each] for target, each in samples.items()}
        ranked = distinctive_phrases(phrases, questions)
        common = distinctive_phrases(name_common(context.pack, reflections), questions)
    written = {
        target: write_insight(context.pack, target, selected, next(iter(common[target]), ""))
        for target, selected in ranked.items()
        if selected
    }
    return written, checks


async def _check_phrases(
    context: RunContext, phrases: Mapping[str, Sequence[str]], samples: Mapping[str, Sequence[Sample]], batch: int
) -> tuple[Fits, Sequence[RoleResult[PhraseCheck] | None]]:
    """Ask whether each sample fits each phrase, all at once, a sample's phrases side by side for the prefix cache."""
    named = list(dict.fromkeys(phrase for each in phrases.values() for phrase in each))
    pairs = [(target, sample, phrase) for target, each in samples.items() for sample in each for phrase in named]
    answers = await gather_all(_check(context, phrase, sample, batch) for _, sample, phrase in pairs)
    fits: dict[str, defaultdict[str, list[bool]]] = {phrase: defaultdict(list) for phrase in named}
    for (target, _, phrase), answer in zip(pairs, answers, strict=True):
        fits[phrase][target].append(answer is not None and answer.value is not None and answer.value.fits)
    return fits, answers


async def _check(context: RunContext, phrase: str, sample: Sample, batch: int) -> RoleResult[PhraseCheck] | None:
    try:
        return await context.roles.check_phrase(phrase, sample, purpose=f"batch-{batch}")
    except SAMPLE_ERRORS:
        return None


def _samples_by_target(results: Sequence[SampleResult]) -> dict[str, list[Sample]]:
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    for result in results:
        if result.sample.target is not None:
            samples[result.sample.target].append(result.sample)
    return dict(samples)
