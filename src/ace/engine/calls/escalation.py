"""Escalation of calls to a role's larger model.

It follows from the settings, the answers so far and the tokens of the prompt, so that a resumed run, with the same
answers, escalates the same calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar, get_args

from pydantic import BaseModel

from ace.config import EscalationSettings, RunSettings
from ace.errors import PromptTooLongError
from ace.playbook import Add, Delta, Embedder, Playbook, Provenance, apply, dedup_delta
from ace.prompts import PromptPack
from ace.roles import Curation, Reflection, RoleResult, to_delta

Answer = TypeVar("Answer", bound=BaseModel)

Escalation = Literal["score", "rounds", "stalled", "prompt_tokens", "parse_failure", "said"]
"""Reason of an escalation; the names are the keys of `EscalationSettings`."""

ESCALATIONS: tuple[Escalation, ...] = get_args(Escalation)

Ask = Callable[[Escalation | None], Awaitable[RoleResult[Answer]]]
"""Calls the role's own model, or for a reason the larger one."""


def escalation_before(
    settings: EscalationSettings | None, *, grade: float | None, round: int, stalled: bool = False
) -> Escalation | None:
    """Return the reason to call the larger model without calling the own one: the score or the round of the answer.

    `grade` is the score of the answer, None without labels; `round` 0 is never escalated.
    """
    if settings is None or round == 0:
        return None
    if stalled:
        return "stalled"
    if settings.score is not None and grade is not None and grade <= settings.score:
        return "score"
    return "rounds" if settings.rounds is not None and round >= settings.rounds else None


async def call_with_escalation(
    ask: Ask[Answer],
    settings: EscalationSettings | None,
    first: Escalation | None,
    *,
    needs_escalation: Callable[[Answer], bool] | None = None,
) -> RoleResult[Answer]:
    """Call the role's own model, and the larger one instead where `first` or the outcome is a reason.

    The larger model is called at most once, and its answer counts in any case; the call before it is in `earlier`.
    `needs_escalation` judges a parsed answer.
    """
    if settings is None or first is not None:
        return await ask(first)
    try:
        result = await ask(None)
    except PromptTooLongError:
        return await ask("prompt_tokens")
    if result.value is None:
        reason: Escalation | None = "parse_failure" if settings.parse_failure else None
    else:
        reason = "said" if needs_escalation is not None and needs_escalation(result.value) else None
    if reason is None:
        return result
    larger = await ask(reason)
    return replace(larger, earlier=(*result.calls, *larger.earlier))


def is_insufficient(
    settings: RunSettings,
    pack: PromptPack,
    embedder: Embedder,
    playbook: Playbook,
    curation: Curation,
    reflections: Sequence[Reflection],
) -> bool:
    """Return True if the playbook after `curation` covers less than the share `escalate.said` of the insights.

    An insight is covered if dedup would drop it as a new bullet.
    """
    escalate, dedup = settings.roles.curator.escalate, settings.playbook.dedup
    if escalate is None or escalate.said is None:
        return False
    texts = (reflection.key_insight for reflection in reflections)
    parts = dict.fromkeys(part for text in texts for part in pack.split_insights(text))
    after = apply(playbook, to_delta(curation, Provenance(), playbook.sections)).playbook
    proposed = Delta(tuple(Add("insight", part) for part in parts))
    uncovered = dedup_delta(after, proposed, embedder, dedup.threshold).delta.operations
    return len(parts) - len(uncovered) < escalate.said * len(parts)
