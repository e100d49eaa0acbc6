"""An endless stream of training rows: playbooks of random worlds, and turns of all roles on them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from ace.tasks.micro.lexicon import (
    AMOUNTS,
    FRAMES,
    MODIFIER_CODES,
    MODIFIER_SECTION,
    TERM_CODES,
    TERM_SECTION,
    UNKNOWN,
)
from ace.tasks.micro.micro_world import TRAINING_SEED_START, Rule, make_world, question_text
from training.role_turns import Sheet, Turn, curator_turn, generator_turn, reflector_turn


class Source:
    """An endless, seeded stream of (playbook, turns).

    Worlds come from seeds at TRAINING_SEED_START and above, or from `worlds` (evaluation).
    """

    def __init__(self, seed: int, *, most_bullets: int = 48, worlds: range | None = None) -> None:
        self._rng = random.Random(seed)
        self._worlds = worlds or range(TRAINING_SEED_START, TRAINING_SEED_START + (1 << 40))
        self.most_bullets = most_bullets
        self.fewest_bullets = 0

    def sheet(self) -> tuple[Sheet, list[Rule]]:
        """A playbook, and the true rules of its world in random order."""
        rng = self._rng
        most = self.most_bullets
        bullets = rng.randint(self.fewest_bullets, most)
        spare = rng.choice((0, 2, 4, 8, 12, 16, 20, 24))
        if rng.random() < 0.2:
            bullets = rng.randint(0, min(6, most))
        modifiers = max(1, round((bullets + spare) * rng.uniform(0.2, 0.45)))
        terms = max(1, bullets + spare - modifiers)
        seed = self._worlds[rng.randrange(len(self._worlds))]
        rules = list(make_world(seed, terms, modifiers, train=0, validation=0, test=0).rules)
        rng.shuffle(rules)
        sheet, number = Sheet(), rng.choice((0, 0, 0, rng.randint(0, 200), rng.randint(0, 800)))
        mistakes = rng.choice((0.0, 0.0, 0.08, 0.25))
        for rule in rules[:bullets]:
            number = min(999, number + rng.choice((1, 1, 1, 1, 2, 3)))
            stated = self._mistaken(rule, rules) if rng.random() < mistakes else rule
            sheet.add(stated, f"{rule.section}-{number:05d}")
            if number == 999:
                break
        if sheet.live and rng.random() < 0.15:
            self._amend(sheet, rules, number)
        return sheet, rules

    def _amend(self, sheet: Sheet, rules: Sequence[Rule], number: int) -> None:
        rng = self._rng
        for _ in range(rng.randint(1, 5)):
            if not sheet.live:
                return
            word = rng.choice(list(sheet.live))
            truth = next(rule for rule in rules if rule.word == word)
            if rng.random() < 0.35:
                sheet.remove(word)
                if rng.random() < 0.25 and number < 990:
                    number += 1
                    sheet.add(truth, f"{truth.section}-{number:05d}")
            elif sheet.live[word][0].code != truth.code:
                sheet.update(truth)
            else:
                sheet.update(self._mistaken(truth, rules))

    def _mistaken(self, rule: Rule, rules: Sequence[Rule]) -> Rule:
        taken = {other.code for other in rules}
        codes = TERM_CODES if rule.section == TERM_SECTION else MODIFIER_CODES
        code = self._rng.choice(codes)
        while code in taken:
            code = self._rng.choice(codes)
        return Rule(rule.section, rule.word, code)

    def turn(self, sheet: Sheet, rules: Sequence[Rule], role: str = "") -> Turn:
        """A turn of `role`, or of a role drawn at random."""
        rng = self._rng
        role = role or rng.choices(("generator", "reflector", "curator"), (0.35, 0.3, 0.35))[0]
        if role == "curator":
            return self._curator(sheet, rules)
        term = self._pick([rule for rule in rules if rule.section == TERM_SECTION], sheet)
        modifier = self._pick([rule for rule in rules if rule.section == MODIFIER_SECTION], sheet)
        question = question_text(modifier.word, term.word, rng.choice(FRAMES), rng.choice(AMOUNTS))
        pair = (term, modifier)
        if role == "generator":
            insight = ""
            if rng.random() < 0.15:
                missing = [r for r in pair if rng.random() < 0.75] or [rng.choice(pair)]
                insight = " ; ".join(rule.content for rule in missing)
            return generator_turn(sheet, question, (term.word, modifier.word), insight)
        listed_codes = [sheet.live[rule.word][0].code if rule.word in sheet.live else "" for rule in pair]
        answer = "-".join(listed_codes) if all(listed_codes) else UNKNOWN
        chance = rng.random()
        if chance < 0.08:
            answer = f"{rng.choice(rules_of(rules, TERM_SECTION)).code}-{modifier.code}"
        elif chance < 0.16:
            answer = f"{term.code}-{rng.choice(rules_of(rules, MODIFIER_SECTION)).code}"
        elif chance < 0.20:
            answer = UNKNOWN
        elif chance < 0.24:
            answer = f"{term.code}-{modifier.code}"
        return reflector_turn(sheet, question, pair, answer)

    def _pick(self, rules: Sequence[Rule], sheet: Sheet) -> Rule:
        rng = self._rng
        touched = [rule for rule in rules if rule.word in sheet.removed or self._changed(rule, sheet)]
        if touched and rng.random() < 0.3:
            return rng.choice(touched)
        listed = [rule for rule in rules if rule.word in sheet.live]
        return rng.choice(listed if listed and rng.random() < 0.6 else rules)

    @staticmethod
    def _changed(rule: Rule, sheet: Sheet) -> bool:
        return rule.word in sheet.live and sheet.live[rule.word][0].code != rule.code

    def _curator(self, sheet: Sheet, rules: Sequence[Rule]) -> Turn:
        rng = self._rng
        missing = [r for r in rules if r.word not in sheet.live]
        wrong = [r for r in rules if self._changed(r, sheet)]
        same = [r for r in rules if r.word in sheet.live and not self._changed(r, sheet)]
        rng.shuffle(missing)
        rng.shuffle(wrong)
        rng.shuffle(same)
        size = rng.choice((1, 1, 2, 2, 3, 4, 5, 6, 8, 10))
        # Wrong rules are rare in a playbook: state some right ones anew, so that UPDATE is practised.
        renewed = [self._mistaken(r, rules) for r in same[:4] if rng.random() < 0.3]
        renewed_words = {r.word for r in renewed}
        same = [r for r in same if r.word not in renewed_words][: rng.choice((0, 0, 0, 0, 1, 1, 2))]
        chosen = missing[: rng.randint(0, size)] + wrong[:3] + renewed + same
        if missing and rng.random() < 0.6:
            chosen = missing[:size] + wrong[: rng.choice((0, 1, 1, 2))]
        chosen = chosen or [rng.choice(list(rules))]
        rng.shuffle(chosen)
        return curator_turn(sheet, chosen[:size])


def rules_of(rules: Sequence[Rule], section: str) -> list[Rule]:
    return [rule for rule in rules if rule.section == section]


def pack_sequence(
    source: Source, encode: Callable[[str], list[int]], length: int
) -> tuple[list[int], list[int], list[int], list[int]]:
    """One training row: ids, labels (-100 where not learned), positions, and block of each token.

    Block 0 is the shared system message; every turn is a block of its own that sees block 0 and itself,
    and its positions follow block 0 - which is exactly what the model sees at inference.
    """
    sheet, rules = source.sheet()
    ids = encode(f"<|im_start|>system\n{sheet.system}<|im_end|>\n")
    prefix = len(ids)
    labels, positions, blocks = [-100] * prefix, list(range(prefix)), [0] * prefix
    block = 0
    while True:
        turn = source.turn(sheet, rules)
        user = encode(f"<|im_start|>user\n{turn.user}<|im_end|>\n<|im_start|>assistant\n")
        reply = encode(f"{turn.assistant}<|im_end|>")
        size = len(user) + len(reply)
        if len(ids) + size > length:
            break
        block += 1
        ids += user + reply
        labels += [-100] * len(user) + reply
        positions += range(prefix, prefix + size)
        blocks += [block] * size
    return ids, labels, positions, blocks
