"""The reflector on one phrase and one sample: does the sample fit the phrase?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ace.errors import ParseError
from ace.roles.answers import PhraseCheck
from ace.roles.role_call import RoleModel, RoleResult, record_call
from ace.types import Request, Sample

ANSWER_TOKENS = 2
"""For one word. Asked for the same in a JSON object, a 1.5B model says yes to nearly everything."""
LEAST_MARGIN = 0.1
"""How much more often a phrase has to fit samples of its own target than those of the others, in shares."""

_ANSWER = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)

MOST_FITTING = 5
"""Phrases of a target: the generator answers worse with eight, which fit its samples less and less."""

Fits = Mapping[str, Mapping[str, Sequence[bool]]]
"""For each phrase the answers about the samples of each target."""


async def check_phrase(
    model: RoleModel, phrase: str, sample: Sample, *, prompt: tuple[str, str]
) -> RoleResult[PhraseCheck]:
    """Ask whether `sample` fits `phrase`. `prompt` is the sample's question and context; no target is shown.

    PromptPackError where the pack has no text for it.
    """
    question, context = prompt
    request = Request(
        messages=model.pack.check_messages({"question": question, "context": context, "phrase": phrase}),
        sampling=replace(model.sampling, max_tokens=ANSWER_TOKENS, temperature=0.0),
        layout=model.pack.layout,
    )
    completion = await model.complete(request)
    answer = _ANSWER.match(completion.text)
    error = None if answer else ParseError(f"neither yes nor no: {completion.text!r}", role="reflector")
    value = PhraseCheck(fits=answer.group(1).lower() == "yes") if answer else None
    record = record_call(
        completion,
        request,
        role="reflector",
        sample_id=sample.id,
        round=0,
        parsed=answer is not None,
        error=None if error is None else str(error),
    )
    return RoleResult(value, error, record)


def rank_fitting(phrases: Mapping[str, Sequence[str]], fits: Fits) -> dict[str, tuple[str, ...]]:
    """Order each target's phrases by how much better they fit its samples than those of the others, without the rest.

    The margin of a phrase is the share of its target's samples that fit it, less the share of all other samples.
    """

    def margin(phrase: str, target: str) -> float:
        answers = fits.get(phrase, {})
        own = answers.get(target, ())
        others = [fit for each, about in answers.items() if each != target for fit in about]
        return _share(own) - _share(others)

    result: dict[str, tuple[str, ...]] = {}
    for target, each in phrases.items():
        margins = {phrase: margin(phrase, target) for phrase in dict.fromkeys(each)}
        fitting = (phrase for phrase in margins if margins[phrase] >= LEAST_MARGIN)
        result[target] = tuple(sorted(fitting, key=margins.__getitem__, reverse=True)[:MOST_FITTING])
    return result


def _share(fits: Sequence[bool]) -> float:
    return sum(fits) / len(fits) if fits else 0.0
