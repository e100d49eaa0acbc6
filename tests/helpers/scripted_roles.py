"""What the scripted backend says in the place of a model."""

from __future__ import annotations

import json

from ace.types import Request


def learn(request: Request) -> str:
    """Right where the playbook has a bullet, wrong otherwise; reflects and adds the bullet that was missing."""
    assert request.schema is not None
    fields = request.schema["properties"]
    system, user = request.messages[0].content, request.messages[-1].content
    if "final_answer" in fields:
        answer = "blue" if "The sky is blue." in system or "The sky is blue." in user else "green"
        return json.dumps({"reasoning": "", "bullet_ids": [], "final_answer": answer})
    if "key_insight" in fields:
        return json.dumps({"reasoning": "", "key_insight": "The sky is blue.", "bullet_tags": []})
    if "The sky is blue." in system:
        return json.dumps({"reasoning": "", "operations": []})
    operation = {"type": "ADD", "reason": "", "section": "Strategies and hard rules", "content": "The sky is blue."}
    return json.dumps({"reasoning": "", "operations": [operation]})


def babble(request: Request) -> str:
    """Never an answer."""
    return "well, " * 5
