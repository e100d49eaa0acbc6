"""Escalation of calls to a role's larger model.

It follows from the settings, the answers so far and the tokens of the prompt, so that a resumed run, with the same
answers, escalates the same calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from ace.config import EscalationSettings, RunSettings
from ace.playbook import Add, Delta, Embedder, Playbook, Provenance, apply, dedup_delta
from ace.prompts import PromptPack
from ace.roles import Curation, Reflection, to_delta

Escalation = Literal["score", "rounds", "stalled", "prompt_tokens", "parse_failure", "coverage"]
"""Reason of an escalation; the names are the keys of `EscalationSettings`."""

ESCALATIONS: tuple[Escalation, ...] = get_args(Escalation)


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


def is_insufficient(
    settings: RunSettings,
    pack: PromptPack,
    embedder: Embedder,
    playbook: Playbook,
    curation: Curation,
    reflections: Sequence[Reflection],
) -> bool:
    """Return True if the playbook after `curation` covers less than the share `escalate.coverage` of the insights.

    An insight is covered if dedup would drop it as a new bullet.
    """
    escalate, dedup = settings.roles.curator.escalate, settings.playbook.dedup
    if escalate is None or escalate.coverage is None:
        return False
    texts = (reflection.key_insight for reflection in reflections)
    parts = dict.fromkeys(part for text in texts for part in pack.split_insights(text))
    after = apply(playbook, to_delta(curation, Provenance(), playbook.sections)).playbook
    proposed = Delta(tuple(Add("insight", part) for part in parts))
    uncovered = dedup_delta(after, proposed, embedder, dedup.threshold).delta.operations
    return len(parts) - len(uncovered) < escalate.coverage * len(parts)
