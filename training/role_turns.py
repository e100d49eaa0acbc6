"""Prompts of each role on a given playbook, and the one right answer.

The prompt pack and the playbook's renderer make the texts, so that training and use share one source. Each answer's
`reasoning` is a scratch-pad of look-ups; every later field only copies from it or from the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from ace.playbook.playbook import LineKind, PrefixLine
from ace.playbook.render import render_line
from ace.prompts import PromptPack, load_pack
from ace.tasks.micro.lexicon import UNKNOWN
from ace.tasks.micro.micro_world import Rule, feedback
from ace.types import RoleName

_PLACEHOLDERS = (
    "question",
    "context",
    "reflection",
    "reasoning",
    "answer",
    "feedback",
    "target",
    "bullets",
    "insights",
)


@cache
def _pack() -> PromptPack:
    return load_pack("micro")


def _user(role: RoleName, **values: str) -> str:
    return _pack().messages(role, "", {**dict.fromkeys(_PLACEHOLDERS, ""), **values})[-1].content


def _json(value: object) -> str:
    """The separators that vLLM's guided decoding prescribes with `disable_any_whitespace`."""
    return json.dumps(value, separators=(",", ":"))


@dataclass(slots=True)
class Sheet:
    """A playbook as the model sees it: its lines, and for each word what holds now."""

    lines: list[str] = field(default_factory=list)
    live: dict[str, tuple[Rule, str]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def add(self, rule: Rule, identity: str) -> None:
        self._append("bullet", rule, identity)
        self.live[rule.word] = (rule, identity)
        self.removed.discard(rule.word)

    def update(self, rule: Rule) -> None:
        identity = self.live[rule.word][1]
        self._append("updated", rule, identity)
        self.live[rule.word] = (rule, identity)

    def remove(self, word: str) -> None:
        rule, identity = self.live.pop(word)
        self._append("removed", rule, identity)
        self.removed.add(word)

    @property
    def system(self) -> str:
        return _pack().preamble + "\n" + ("\n".join(self.lines) or _pack().formats.empty)

    def _append(self, kind: LineKind, rule: Rule, identity: str) -> None:
        self.lines.append(render_line(PrefixLine(kind, identity, rule.content), _pack().formats))


@dataclass(frozen=True, slots=True)
class Turn:
    """One user message and the right answer to it. `role` is generator, reflector or curator."""

    role: str
    user: str
    assistant: str


def generator_turn(sheet: Sheet, question: str, words: Sequence[str], insight: str = "") -> Turn:
    """`words` are the term and the modifier; `insight` is the last reflection's key_insight on a retry."""
    reflected = dict(part.split(" -> ") for part in insight.split(" ; ")) if insight else {}
    notes, ids, codes = [], [], []
    for word in words:
        if word in reflected:
            notes.append(f"{word} = {reflected[word]} (reflection)")
            codes.append(reflected[word])
        elif word in sheet.live:
            rule, identity = sheet.live[word]
            notes.append(f"{word} = {rule.code} ({identity})")
            ids.append(identity)
            codes.append(rule.code)
        else:
            notes.append(_missing(sheet, word))
    answer = "-".join(codes) if len(codes) == len(words) else UNKNOWN
    user = _user("generator", question=question, reflection=insight)
    reply = {"reasoning": " ; ".join(notes), "bullet_ids": ids, "final_answer": answer}
    return Turn("generator", user, _json(reply))


def reflector_turn(sheet: Sheet, question: str, rules: Sequence[Rule], answer: str) -> Turn:
    """`rules` are the true rules of the question's term and modifier."""
    target = "-".join(rule.code for rule in rules)
    verdict = feedback(answer, target)
    notes, insights, tags = [], [], []
    for rule in rules:
        if rule.word in sheet.live:
            listed, identity = sheet.live[rule.word]
            right = listed.code == rule.code
            notes.append(f"{rule.word} = {listed.code} ({identity}) {'right' if right else 'wrong'}")
            tags.append({"id": identity, "tag": "helpful" if right else "harmful"})
        else:
            right = verdict == "right"
            notes.append(_missing(sheet, rule.word))
        if not right:
            insights.append(rule.content)
    user = _user("reflector", question=question, answer=answer, feedback=verdict)
    reply = {"reasoning": " ; ".join(notes), "key_insight": " ; ".join(insights), "bullet_tags": tags}
    return Turn("reflector", user, _json(reply))


def curator_turn(sheet: Sheet, insights: Sequence[Rule]) -> Turn:
    notes: list[str] = []
    operations: list[dict[str, str]] = []
    for rule in insights:
        if rule.word not in sheet.live:
            notes.append(f"{rule.content} add")
            operations.append({"type": "ADD", "section": rule.section, "content": rule.content})
            continue
        listed, identity = sheet.live[rule.word]
        same = listed.code == rule.code
        # The insight stands last, so that its code is near when the next entry, or operation, is sought.
        notes.append(f"{rule.word} = {listed.code} ({identity}) {rule.content} {'same' if same else 'update'}")
        if not same:
            operations.append({"type": "UPDATE", "id": identity, "content": rule.content})
    lines = "\n".join(_pack().insight.fill({"insight": rule.content}) for rule in insights)
    user = _user("curator", insights=lines)
    return Turn("curator", user, _json({"reasoning": " ; ".join(notes), "operations": operations}))


def _missing(sheet: Sheet, word: str) -> str:
    return f"{word} removed" if word in sheet.removed else f"{word} not listed"
