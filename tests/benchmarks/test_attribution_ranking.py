"""The credit benchmark plants bullets that harm, and no others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from micro_runs import all_roles

from ace.inference import ScriptedBackend
from ace.tasks.micro.scripted_model import ScriptedMicroModel
from ace.types import Message, Request
from benchmarks.attribution_ranking import attribution_settings, plant_harmful

pytestmark = pytest.mark.slow

SEED = 3


class _Loyal(ScriptedMicroModel):
    """Follows a later bullet that contradicts an earlier one only where it is about a modifier."""

    def __call__(self, request: Request) -> str:
        first: dict[str, str] = {}
        lines = []
        for line in request.messages[0].content.splitlines():
            word, arrow, code = line.partition(" -> ")
            known = first.setdefault(word, code)
            if not arrow or known == code or "[mod-" in code:
                lines.append(line)
        messages = (Message(request.messages[0].role, "\n".join(lines)), *request.messages[1:])
        return super().__call__(Request(messages, request.sampling))


def test_bullets_that_the_model_follows_are_planted_at_once(tmp_path: Path) -> None:
    made = asyncio.run(
        plant_harmful(attribution_settings(tmp_path, SEED), SEED, 2, all_roles(ScriptedBackend(ScriptedMicroModel())))
    )
    assert made.rejected == 0
    assert made.harmful == {bullet.id for bullet in made.playbook.bullets[-2:]}


def test_candidates_that_harm_nobody_are_replaced_and_counted(tmp_path: Path) -> None:
    made = asyncio.run(
        plant_harmful(attribution_settings(tmp_path, SEED), SEED, 3, all_roles(ScriptedBackend(_Loyal())))
    )
    assert made.rejected > 0
    assert {bullet.section for bullet in made.playbook.bullets[-3:]} == {"mod"}


def test_a_world_whose_false_bullets_harm_nobody_is_an_error(tmp_path: Path) -> None:
    def unmoved(request: Request) -> str:
        return '{"reasoning": "", "bullet_ids": [], "final_answer": "unknown"}'

    with pytest.raises(RuntimeError, match="only 0 of its false bullets harm, 2 are wanted"):
        asyncio.run(plant_harmful(attribution_settings(tmp_path, SEED), SEED, 2, all_roles(ScriptedBackend(unmoved))))
