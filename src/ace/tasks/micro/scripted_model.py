"""A scripted model for all three roles on the micro world, with adjustable error rates."""

from __future__ import annotations

import json
import re

from ace.types import Request, RoleName

_LINE = re.compile(r"(?:now )?(\w+) -> (\w+) \[([a-z]{3}-\d{5})\]")
_ITEM = re.compile(r'Code of "(\w+) (\w+)"')


class ScriptedMicroModel:
    """Reads the playbook in the prompt, as the micro model does, and answers what follows from it.

    `slips` is the share of right answers of which the reflector learns a wrong rule: it is found wrong when it is used
    next, tagged harmful and updated. Which ones those are follows from the request alone.
    """

    def __init__(self, *, slips: float = 0.0) -> None:
        self._slips = slips

    def __call__(self, request: Request) -> str:
        """The answer of the role that the prompt addresses, as JSON."""
        return {"generator": self._generate, "reflector": self._reflect, "curator": self._curate}[role_of(request)](
            request
        )

    def _generate(self, request: Request) -> str:
        user = request.messages[-1].content
        rules = _rules(request)
        codes = {word: code for word, (code, _) in rules.items()}
        codes.update(re.findall(r"(\w+) -> (\w+)", user))
        words = _words(user)
        answer = "-".join(codes[word] for word in words) if all(word in codes for word in words) else "unknown"
        used = [rules[word][1] for word in words if word in rules]
        return json.dumps({"reasoning": "looked up", "bullet_ids": used, "final_answer": answer})

    def _reflect(self, request: Request) -> str:
        user = request.messages[-1].content
        rules = _rules(request)
        words = _words(user)
        expected = re.search(r"expected (\w+)-(\w+)", user)
        truth = dict(zip(words, expected.groups(), strict=True)) if expected else {}
        insights = [f"{w} -> {truth[w]}" for w in words if w in truth and rules.get(w, ("", ""))[0] != truth[w]]
        if not truth and self._slips_at(request):
            word = words[0]
            insights.append(f"{word} -> {rules[word][0][::-1] if word in rules else 'ZZZ'}")
        tags = [
            {"id": rules[w][1], "tag": "helpful" if not truth or rules[w][0] == truth[w] else "harmful"}
            for w in words
            if w in rules
        ]
        return json.dumps({"reasoning": "compared", "key_insight": " ; ".join(insights), "bullet_tags": tags})

    def _curate(self, request: Request) -> str:
        rules = _rules(request)
        operations = []
        for word, code in re.findall(r"^- (\w+) -> (\w+)$", request.messages[-1].content, re.MULTILINE):
            content = f"{word} -> {code}"
            if word not in rules:
                operations.append({"type": "ADD", "section": "mod" if code.isdigit() else "trm", "content": content})
            elif rules[word][0] != code:
                operations.append({"type": "UPDATE", "id": rules[word][1], "content": content})
        return json.dumps({"reasoning": "listed", "operations": operations})

    def _slips_at(self, request: Request) -> bool:
        return int(request.digest[-8:], 16) < self._slips * 0x1_0000_0000


def role_of(request: Request) -> RoleName:
    """Whom the micro prompt pack addresses."""
    first = request.messages[-1].content.split("\n", 1)[0]
    names: dict[str, RoleName] = {"ANSWER": "generator", "REFLECT": "reflector", "CURATE": "curator"}
    return names[first]


def _rules(request: Request) -> dict[str, tuple[str, str]]:
    """Word -> (code, id) as the playbook in the prompt has it."""
    return {word: (code, identity) for word, code, identity in _LINE.findall(request.messages[0].content)}


def _words(user: str) -> tuple[str, str]:
    match = _ITEM.search(user)
    assert match is not None
    return match.group(2), match.group(1)
