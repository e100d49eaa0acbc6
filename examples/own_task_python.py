"""A task in Python: samples, a prompt, and a grade whose feedback the reflector learns from.

A house style that no model can know: dates are written as ISO weeks. The scripted model writes them so once a bullet
of the playbook says it; `model="Qwen/Qwen2.5-7B-Instruct"` would ask a real one.

    python examples/own_task_python.py
"""

from __future__ import annotations

import json
import re
import tempfile
from datetime import date, datetime
from typing import Any

from ace import Request, Sample, Score, ScriptedBackend, Splits, adapt

RULE = "Write a date as its ISO week, as in 2026-W10."


def iso_week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def samples(*days: date) -> tuple[Sample, ...]:
    return tuple(Sample(id=str(day), question=f"Write {day:%d %B %Y}.", target=iso_week(day)) for day in days)


class HouseDates:
    name = "house_dates"
    splits = Splits(
        train=samples(date(2026, 3, 3), date(2026, 5, 20)),
        test=samples(date(2026, 1, 1), date(2026, 7, 14), date(2026, 12, 31)),
    )

    def prompt(self, sample: Sample) -> tuple[str, str]:
        """The question, and material that belongs to it. The sample comes without its target."""
        return sample.question, ""

    def grade(self, sample: Sample, answer: str) -> Score:
        """A value in [0, 1], right or not, and what the reflector is told."""
        right = answer == sample.target
        return Score(float(right), right, "" if right else f"not the house style, which is {sample.target}")


def make() -> HouseDates:
    """What `task: {name: python, path: own_task_python.py:make}` calls."""
    return HouseDates()


def scripted_answer(request: Request) -> str:
    fields: Any = request.schema["properties"] if request.schema else {}
    playbook, user = request.messages[0].content, request.messages[-1].content
    if "final_answer" in fields:
        found = re.search(r"\d\d \w+ \d{4}", user)
        assert found is not None
        day = datetime.strptime(found[0], "%d %B %Y").date()
        written = iso_week(day) if RULE in playbook else day.isoformat()
        return json.dumps({"reasoning": "", "bullet_ids": [], "final_answer": written})
    if "key_insight" in fields:
        return json.dumps({"reasoning": "", "key_insight": RULE, "bullet_tags": []})
    operation = {"type": "ADD", "reason": "", "section": "Strategies and hard rules", "content": RULE}
    return json.dumps({"reasoning": "", "operations": [] if RULE in playbook else [operation]})


def main(store: str) -> None:
    result = adapt(HouseDates(), model=ScriptedBackend(scripted_answer), batch_size=2, store=store)
    print(f"{result.summary.accuracy_before:.0%} -> {result.accuracy:.0%} of the test split")
    for bullet in result.playbook.bullets:
        print("-", bullet.content)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(f"sqlite:///{folder}/ace.db")
