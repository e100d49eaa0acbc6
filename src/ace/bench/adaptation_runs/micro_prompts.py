"""Prompts of the micro world with a complete playbook, for measurements of the engine alone."""

from __future__ import annotations

from ace.bench.adaptation_runs.call_trace import TracedCall
from ace.config import MicroSettings
from ace.playbook import Bullet, Playbook, render
from ace.playbook.bullet import bullet_id
from ace.prompts import load_pack
from ace.tasks.micro.micro_task import MicroTask
from ace.tasks.micro.micro_world import make_world
from ace.types import Message, Sample


def playbook_prefix(seed: int) -> str:
    """All rules of world `seed`, rendered as in a prompt."""
    pack = load_pack("micro")
    rules = make_world(seed).rules
    bullets = [Bullet(bullet_id(rule.section, n), rule.section, rule.content) for n, rule in enumerate(rules, 1)]
    return render(Playbook.of(bullets, pack.sections), pack.formats)


def questions(count: int, seed: int) -> list[Sample]:
    """Samples of world `seed`, from the first again where there are not enough."""
    splits = MicroTask.make(MicroSettings(seed=seed)).splits
    samples = (*splits.test, *splits.validation, *splits.train)
    return [samples[number % len(samples)] for number in range(count)]


def generator_prompts(count: int, seed: int, *, worlds: int = 1) -> list[tuple[Message, ...]]:
    """Questions of `worlds` worlds, each behind its own world's playbook: with one world they share the prefix."""
    pack = load_pack("micro")
    prompts = []
    for number in range(count):
        world = seed + number % worlds
        sample = questions(number // worlds + 1, world)[-1]
        values = {"question": sample.question, "context": "", "reflection": ""}
        prompts.append(pack.messages("generator", playbook_prefix(world), values))
    return prompts


def reflector_calls(samples: int, seed: int, *, rounds: int, tokens: int) -> list[TracedCall]:
    """One batch in which every sample is reflected on `rounds` times, on another wrong answer each time."""
    pack, prefix = load_pack("micro"), playbook_prefix(seed)
    calls = []
    for number, sample in enumerate(questions(samples, seed)):
        for round in range(rounds):
            values = {
                "question": sample.question,
                "context": "",
                "answer": f"unknown-{round}",
                "reasoning": "looked up",
                "feedback": f"wrong: expected {sample.target}",
                "target": sample.target or "",
                "bullets": "",
            }
            messages = pack.messages("reflector", prefix, values)
            calls.append(TracedCall("reflect", 0, f"{number}", "reflector", "main", messages, tokens))
    return calls
