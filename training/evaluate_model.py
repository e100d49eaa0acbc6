"""Measure a micro model by greedy generation: `python -m training.evaluate_model --help`.

Worlds come from the evaluation seeds, which training never touches; weights run in bfloat16, as in use.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ace.tasks.micro.lexicon import MODIFIER_CODES, TERM_CODES, TERM_SECTION, UNKNOWN
from ace.tasks.micro.micro_world import EVALUATION_SEEDS, Rule, World, make_world
from training.role_turns import Sheet, Turn, curator_turn, generator_turn, reflector_turn
from training.training_data import Source


@dataclass(frozen=True, slots=True)
class Item:
    """One message pair, with the answer that is right."""

    system: str
    turn: Turn


class Runner:
    """Greedy answers of a saved model, in batches."""

    def __init__(self, folder: Path, batch: int = 32) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(str(folder), padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.bfloat16).eval()
        self.batch = batch

    def answers(self, items: Sequence[Item]) -> list[str]:
        texts = [
            self.tokenizer.apply_chat_template(
                [{"role": "system", "content": item.system}, {"role": "user", "content": item.turn.user}],
                tokenize=False,
                add_generation_prompt=True,
            )
            for item in items
        ]
        answers: list[str] = []
        for start in range(0, len(texts), self.batch):
            batch = self.tokenizer(texts[start : start + self.batch], return_tensors="pt", padding=True)
            with torch.inference_mode():
                output = self.model.generate(
                    input_ids=batch["input_ids"],
                    attention_mask=batch["attention_mask"],
                    max_new_tokens=320,
                    do_sample=False,
                )
            replies = output[:, batch["input_ids"].shape[1] :]
            answers += self.tokenizer.batch_decode(replies, skip_special_tokens=True)
        return answers


def complete_sheet(world: World) -> Sheet:
    sheet = Sheet()
    for number, rule in enumerate(world.rules, start=1):
        sheet.add(rule, f"{rule.section}-{number:05d}")
    return sheet


def answer_items(seeds: Sequence[int], terms: int, modifiers: int, *, empty: bool = False) -> list[Item]:
    items: list[Item] = []
    for seed in seeds:
        world = make_world(seed, terms, modifiers)
        sheet = Sheet() if empty else complete_sheet(world)
        for question in world.split("test"):
            turn = generator_turn(sheet, question.text, (question.term, question.modifier))
            items.append(Item(sheet.system, turn))
    return items


def role_items(role: str, count: int, seed: int) -> list[Item]:
    """Mixed playbooks of evaluation worlds: gaps, mistakes, amendments."""
    source = Source(seed, worlds=EVALUATION_SEEDS)
    items: list[Item] = []
    while len(items) < count:
        sheet, rules = source.sheet()
        items += [Item(sheet.system, source.turn(sheet, rules, role)) for _ in range(2)]
    return items[:count]


def loop_items(role: str, count: int, seed: int) -> list[Item]:
    """Prompts as in a run: part of a world's 24 rules is listed, 5 % of it wrong.

    Reflections are on the answer that this playbook gives; curations get 1-10 missing or corrected rules.
    """
    rng = random.Random(seed)
    items: list[Item] = []
    while len(items) < count:
        world = make_world(rng.choice(EVALUATION_SEEDS))
        rules = rng.sample(world.rules, len(world.rules))
        used = set(world.codes.values())
        listed, sheet = rng.randint(0, len(rules)), Sheet()
        for number, rule in enumerate(rules[:listed], start=1):
            codes = sorted({*(TERM_CODES if rule.section == TERM_SECTION else MODIFIER_CODES)} - used)
            entry = Rule(rule.section, rule.word, rng.choice(codes)) if rng.random() < 0.05 else rule
            sheet.add(entry, f"{rule.section}-{number:05d}")
        if role == "reflector":
            question = rng.choice(world.split("train"))
            pair = [rule for word in (question.term, question.modifier) for rule in rules if rule.word == word]
            listed_codes = [sheet.live[rule.word][0].code for rule in pair if rule.word in sheet.live]
            answer = "-".join(listed_codes) if len(listed_codes) == 2 else UNKNOWN
            items.append(Item(sheet.system, reflector_turn(sheet, question.text, pair, answer)))
            continue
        missing = [r for r in rules if r.word not in sheet.live or sheet.live[r.word][0].code != r.code]
        if missing:
            chosen = rng.sample(missing, min(len(missing), rng.randint(1, 10)))
            items.append(Item(sheet.system, curator_turn(sheet, chosen)))
    return items


def parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def share(runner: Runner, items: Sequence[Item], fields: Sequence[str], examples: int = 3) -> dict[str, float]:
    """For each field the share of answers that hold exactly the right value, and `whole` for all of it."""
    hits = dict.fromkeys((*fields, "whole"), 0)
    for item, answer in zip(items, runner.answers(items), strict=True):
        right, got = json.loads(item.turn.assistant), parsed(answer)
        for name in fields:
            hits[name] += got.get(name) == right[name]
        hits["whole"] += got == right
        if got != right and examples:
            examples -= 1
            print(f"want {item.turn.assistant}\ngot  {answer}", flush=True)
    return {name: round(count / len(items), 4) for name, count in hits.items()}


def evaluate(folder: Path, worlds: int, questions: int, seed: int = 0) -> dict[str, dict[str, float]]:
    runner = Runner(folder)
    seeds = range(seed, seed + worlds)
    return {
        "answers, 24 bullets": share(runner, answer_items(seeds, 16, 8), ["final_answer"]),
        "answers, 40 bullets": share(runner, answer_items(seeds, 27, 13), ["final_answer"]),
        "answers, empty": share(runner, answer_items(seeds[:1], 16, 8, empty=True), ["final_answer"]),
        "answers, mixed playbooks": share(runner, role_items("generator", questions, 11), ["final_answer"]),
        "reflections, as in a run": share(
            runner, loop_items("reflector", questions, 21), ["key_insight", "bullet_tags"]
        ),
        "curations, as in a run": share(runner, loop_items("curator", questions, 22), ["operations"]),
        "reflections, mixed playbooks": share(
            runner, role_items("reflector", questions, 12), ["key_insight", "bullet_tags"]
        ),
        "curations, mixed playbooks": share(runner, role_items("curator", questions, 13), ["operations"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--turns", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name, figures in evaluate(args.folder, args.worlds, args.turns).items():
        print(f"{name:30s} {json.dumps(figures)}", flush=True)


if __name__ == "__main__":
    main()
