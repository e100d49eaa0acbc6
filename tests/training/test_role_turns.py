"""The roles ask the micro model exactly what it was trained on, and read exactly what it was trained to answer."""

from __future__ import annotations

import asyncio
import random

from ace.playbook.playbook import Section
from ace.prompts import load_pack
from ace.roles import GeneratorAnswer, Reflection, RoleModel, curate, generate, insight_lines, reflect
from ace.tasks.micro.lexicon import AMOUNTS, FRAMES, MODIFIER_SECTION, TERM_SECTION
from ace.tasks.micro.micro_world import Rule, feedback, question_text
from ace.types import Completion, Request, Sample, Sampling, Usage
from training.role_turns import Turn, curator_turn, generator_turn, reflector_turn
from training.training_data import Source

PACK = load_pack("micro")
SECTIONS = (Section(TERM_SECTION, "Terms"), Section(MODIFIER_SECTION, "Modifiers"))
SAMPLING = Sampling(temperature=0.0)


class Trained:
    """A model that has learned one turn by heart, and fails on a prompt that differs from it."""

    def __init__(self, system: str, turn: Turn) -> None:
        self.system, self.turn = system, turn

    async def complete(self, request: Request) -> Completion:
        assert [message.content for message in request.messages] == [self.system, self.turn.user]
        return Completion(self.turn.assistant, "stop", Usage(), "trained")


def trained(system: str, turn: Turn) -> RoleModel:
    return RoleModel(Trained(system, turn).complete, PACK, SAMPLING, guided=True)


def worlds() -> list[tuple[Source, random.Random]]:
    return [(Source(seed, most_bullets=12), random.Random(seed)) for seed in range(8)]


def pair(rules: list[Rule], rng: random.Random) -> tuple[tuple[Rule, Rule], str]:
    term = rng.choice([rule for rule in rules if rule.section == TERM_SECTION])
    modifier = rng.choice([rule for rule in rules if rule.section == MODIFIER_SECTION])
    return (term, modifier), question_text(modifier.word, term.word, rng.choice(FRAMES), rng.choice(AMOUNTS))


def test_generator() -> None:
    for source, rng in worlds():
        sheet, rules = source.sheet()
        (term, modifier), question = pair(rules, rng)
        playbook = sheet.system.removeprefix(PACK.preamble + "\n")
        for insight in ("", term.content, f"{term.content} ; {modifier.content}"):
            model = trained(sheet.system, generator_turn(sheet, question, (term.word, modifier.word), insight))
            result = asyncio.run(
                generate(
                    model,
                    playbook,
                    Sample("s", question),
                    reflection=insight,
                )
            )
            assert result.value is not None and result.call.error is None


def test_reflector() -> None:
    for source, rng in worlds():
        sheet, rules = source.sheet()
        rules_of_question, question = pair(rules, rng)
        target = "-".join(rule.code for rule in rules_of_question)
        for answer in (target, "?"):
            verdict = feedback(answer, target)
            model = trained(sheet.system, reflector_turn(sheet, question, rules_of_question, answer))
            result = asyncio.run(
                reflect(
                    model,
                    sheet.system.removeprefix(PACK.preamble + "\n"),
                    Sample("s", question, target),
                    GeneratorAnswer(final_answer=answer),
                    verdict,
                )
            )
            assert result.value is not None and result.call.error is None


def test_curator() -> None:
    for source, rng in worlds():
        sheet, rules = source.sheet()
        chosen = rng.sample(rules, min(3, len(rules)))
        insights = [" ; ".join(rule.content for rule in chosen[:2]), *(rule.content for rule in chosen[1:])]
        model = trained(sheet.system, curator_turn(sheet, chosen))
        result = asyncio.run(
            curate(
                model,
                sheet.system.removeprefix(PACK.preamble + "\n"),
                insight_lines(PACK, [Reflection(key_insight=insight) for insight in insights]),
                sections=SECTIONS,
            )
        )
        assert result.value is not None and result.call.error is None
