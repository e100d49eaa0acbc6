"""A stand-in for a language model: it knows nothing about desks but what the playbook in its prompt says.

It plays the three roles of ACE on `data/tickets.csv`, so that the examples run on any machine in a second.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ace import Request

TOPICS = ("parcel", "invoice", "password")
RULE = re.compile(r"Tickets about (\w+) go to ([A-Z]\d\d)\.")


def answer(request: Request) -> str:
    """The answer of the role that the request's schema belongs to, as JSON."""
    fields: Any = request.schema["properties"] if request.schema else {}
    playbook, user = request.messages[0].content, request.messages[-1].content
    rules = dict(RULE.findall(playbook))
    if "final_answer" in fields:  # the generator: the ticket's desk, if a bullet names it
        topic = next(topic for topic in TOPICS if topic in user)
        return json.dumps({"reasoning": "", "bullet_ids": [], "final_answer": rules.get(topic, "unknown")})
    if "key_insight" in fields:  # the reflector: a rule out of the ticket and the right answer
        topic = next(topic for topic in TOPICS if topic in user)
        desk = re.findall(r"\b[A-Z]\d\d\b", user)[-1]
        insight = f"Tickets about {topic} go to {desk}."
        return json.dumps({"reasoning": "", "key_insight": insight, "bullet_tags": []})
    new = {topic: desk for topic, desk in RULE.findall(user) if topic not in rules}
    section = "Strategies and hard rules"  # the curator: a bullet for each rule that is not there yet
    operations = [
        {"type": "ADD", "reason": "", "section": section, "content": f"Tickets about {topic} go to {desk}."}
        for topic, desk in new.items()
    ]
    return json.dumps({"reasoning": "", "operations": operations})
