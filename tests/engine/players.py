"""A scripted model that plays all three roles on the micro world without a mistake, and settings to run it with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ace.config import RunSettings, settings_from
from ace.inference import Backend, ScriptedBackend
from ace.types import ROLES, Request, RoleName

_LINE = re.compile(r"(?:now )?(\w+) -> (\w+) \[([a-z]{3}-\d{5})\]")
_ITEM = re.compile(r'Code of "(\w+) (\w+)"')


def settings(folder: Path, **changes: Any) -> RunSettings:
    """A small micro world with its store in `folder`; `changes` by dotted key with `__` for the dot."""
    values: dict[str, Any] = {
        "name": "test",
        "prompts": "micro",
        "store": f"sqlite:///{folder}/ace.db",
        "task": {
            "name": "micro",
            "micro": {"seed": 3, "terms": 4, "modifiers": 3, "train": 6, "validation": 2, "test": 4},
        },
        "models": {"main": {"provider": "scripted", "model": "scripted"}},
        "adaptation": {"batch_size": 2, "max_rounds": 2},
    }
    for key, value in changes.items():
        *parents, last = key.split("__")
        here = values
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value
    return settings_from(values)


def cast(backend: Backend) -> Mapping[RoleName, Backend]:
    """One backend in all roles."""
    return dict.fromkeys(ROLES, backend)


def perfect() -> ScriptedBackend:
    return ScriptedBackend(play)


def play(request: Request) -> str:
    """Answer as the role that the prompt addresses."""
    return {"generator": _generate, "reflector": _reflect, "curator": _curate}[role_of(request)](request)


def role_of(request: Request) -> RoleName:
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


def _generate(request: Request) -> str:
    user = request.messages[-1].content
    rules = _rules(request)
    codes = {word: code for word, (code, _) in rules.items()}
    codes.update(re.findall(r"(\w+) -> (\w+)", user))
    words = _words(user)
    answer = "-".join(codes[word] for word in words) if all(word in codes for word in words) else "unknown"
    used = [rules[word][1] for word in words if word in rules]
    return json.dumps({"reasoning": "looked up", "bullet_ids": used, "final_answer": answer})


def _reflect(request: Request) -> str:
    user = request.messages[-1].content
    rules = _rules(request)
    words = _words(user)
    expected = re.search(r"expected (\w+)-(\w+)", user)
    truth = dict(zip(words, expected.groups(), strict=True)) if expected else {}
    insights = [f"{w} -> {truth[w]}" for w in words if w in truth and rules.get(w, ("", ""))[0] != truth[w]]
    tags = [
        {"id": rules[w][1], "tag": "helpful" if not truth or rules[w][0] == truth[w] else "harmful"}
        for w in words
        if w in rules
    ]
    return json.dumps({"reasoning": "compared", "key_insight": " ; ".join(insights), "bullet_tags": tags})


def _curate(request: Request) -> str:
    rules = _rules(request)
    operations = []
    for word, code in re.findall(r"^- (\w+) -> (\w+)$", request.messages[-1].content, re.MULTILINE):
        content = f"{word} -> {code}"
        if word not in rules:
            operations.append({"type": "ADD", "section": "mod" if code.isdigit() else "trm", "content": content})
        elif rules[word][0] != code:
            operations.append({"type": "UPDATE", "id": rules[word][1], "content": content})
    return json.dumps({"reasoning": "listed", "operations": operations})
