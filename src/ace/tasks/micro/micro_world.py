"""A micro world: hidden codes for invented words, and questions that only its rules can answer."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ace.tasks.micro.lexicon import (
    AMOUNTS,
    FRAMES,
    MODIFIER_CODES,
    MODIFIER_SECTION,
    MODIFIERS,
    TERM_CODES,
    TERM_SECTION,
    TERMS,
    UNKNOWN,
)

Split = Literal["train", "validation", "test"]

EVALUATION_SEEDS = range(10_000)
"""Seeds for quickstarts, tests and benchmarks; the shipped models never saw these worlds."""
TRAINING_SEED_START = 1_000_000
"""The models were trained on worlds with this seed and above."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One hidden fact: the code of a word. `section` is `trm` (terms) or `mod` (modifiers)."""

    section: str
    word: str
    code: str

    @property
    def content(self) -> str:
        """The text of the bullet that states this rule."""
        return f"{self.word} -> {self.code}"


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its right answer, e.g. `KQT-07`."""

    id: str
    text: str
    target: str
    term: str
    modifier: str
    split: Split


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes that make a world harder: shares of the words that get another code or lose theirs, and distractors."""

    drift: float = 0.0
    expiring: float = 0.0
    distractors: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """Rules and questions made from one seed. Splits share words, never a term+modifier pair.

    `rules` are those that hold at the end; `before` holds the codes that words had in the first half of the training
    samples, where they were others.
    """

    seed: int
    rules: tuple[Rule, ...]
    questions: tuple[Question, ...]
    before: Mapping[str, str] = field(default_factory=dict)

    def split(self, name: Split) -> tuple[Question, ...]:
        return tuple(question for question in self.questions if question.split == name)

    @property
    def codes(self) -> Mapping[str, str]:
        """Word -> code, over terms and modifiers."""
        return {rule.word: rule.code for rule in self.rules}


def question_text(modifier: str, term: str, frame: str, amount: str) -> str:
    """A sentence that holds the item, then the question about it."""
    item = f"{modifier} {term}"
    return f'{frame.format(item, amount)} Code of "{item}" ?'


def make_world(
    seed: int,
    terms: int = 16,
    modifiers: int = 8,
    *,
    train: int = 40,
    validation: int = 24,
    test: int = 64,
    changes: Changes = Changes(),
) -> World:
    """The world of `seed`; the same arguments give the same world on every machine.

    Raises ValueError where the lexicon or the number of term+modifier pairs is too small.
    """
    _check(terms, modifiers, train, validation, test)
    rng = random.Random(seed)
    term_words = rng.sample(TERMS, terms)
    modifier_words = rng.sample(MODIFIERS, modifiers)
    term_rules = [Rule(TERM_SECTION, w, c) for w, c in zip(term_words, rng.sample(TERM_CODES, terms), strict=True)]
    modifier_rules = [
        Rule(MODIFIER_SECTION, w, c) for w, c in zip(modifier_words, rng.sample(MODIFIER_CODES, modifiers), strict=True)
    ]
    pairs = _pairs(term_rules, modifier_rules)
    rest = pairs[train:]
    rng.shuffle(rest)
    ordered = pairs[:train]
    rng.shuffle(ordered)
    names: tuple[tuple[Split, int], ...] = (("train", train), ("validation", validation), ("test", test))
    splits = [name for name, size in names for _ in range(size)]
    rules = (*term_rules, *modifier_rules)
    after = _changed(seed, rules, changes)
    codes = {rule.word: rule.code for rule in rules}
    asides = random.Random(f"distractors {seed}")
    questions = []
    numbers = {"train": 0, "validation": 0, "test": 0}
    for (term, modifier), split in zip(ordered + rest, splits, strict=False):
        text = question_text(modifier.word, term.word, rng.choice(FRAMES), rng.choice(AMOUNTS))
        identity = f"micro-{seed}-{split}-{numbers[split]:03d}"
        early = split == "train" and numbers[split] < (train + 1) // 2
        numbers[split] += 1
        word_codes = [codes[word] if early else after[word] for word in (term.word, modifier.word)]
        target = UNKNOWN if UNKNOWN in word_codes else "-".join(word_codes)
        text = " ".join([*_asides(asides, pairs, changes.distractors), text])
        questions.append(Question(identity, text, target, term.word, modifier.word, split))
    lasting = tuple(Rule(r.section, r.word, after[r.word]) for r in rules if after[r.word] != UNKNOWN)
    before = {word: code for word, code in codes.items() if after[word] != code}
    return World(seed, lasting, tuple(questions), before)


def _changed(seed: int, rules: Sequence[Rule], changes: Changes) -> dict[str, str]:
    """The codes at the end: words that drift get a code that no word of the world had, those that expire `unknown`."""
    rng = random.Random(f"changes {seed}")
    words = [rule.word for rule in rules]
    rng.shuffle(words)
    drifting = set(words[: round(changes.drift * len(words))])
    expired = set(words[len(drifting) : len(drifting) + round(changes.expiring * len(words))])
    free = {
        section: iter(rng.sample(fresh, len(fresh)))
        for section, all_codes in ((TERM_SECTION, TERM_CODES), (MODIFIER_SECTION, MODIFIER_CODES))
        for fresh in [[code for code in all_codes if code not in {rule.code for rule in rules}]]
    }
    return {
        rule.word: next(free[rule.section]) if rule.word in drifting else UNKNOWN if rule.word in expired else rule.code
        for rule in rules
    }


def _asides(rng: random.Random, pairs: Sequence[tuple[Rule, Rule]], count: int) -> list[str]:
    """Sentences about items of the world that nobody asks about."""
    chosen = [rng.choice(pairs) for _ in range(count)]
    return [rng.choice(FRAMES).format(f"{modifier.word} {term.word}", rng.choice(AMOUNTS)) for term, modifier in chosen]


def grade(answer: str, target: str) -> bool:
    """Exact match after stripping white space."""
    return answer.strip() == target.strip()


def feedback(answer: str, target: str) -> str:
    """One line for the reflector: `right`, or `wrong , expected KQT-07`."""
    return "right" if grade(answer, target) else f"wrong , expected {target.strip()}"


def _pairs(terms: list[Rule], modifiers: list[Rule]) -> list[tuple[Rule, Rule]]:
    """All pairs, in rounds that use every term once and the modifiers evenly."""
    count = len(modifiers)
    return [(term, modifiers[(index + turn) % count]) for turn in range(count) for index, term in enumerate(terms)]


def _check(terms: int, modifiers: int, train: int, validation: int, test: int) -> None:
    if not 1 <= terms <= len(TERM_CODES):
        raise ValueError(f"terms must be 1..{len(TERM_CODES)}, got {terms}")
    if not 1 <= modifiers <= len(MODIFIERS):
        raise ValueError(f"modifiers must be 1..{len(MODIFIERS)}, got {modifiers}")
    if min(train, validation, test) < 0:
        raise ValueError("train, validation and test must not be negative")
    if train + validation + test > terms * modifiers:
        raise ValueError(
            f"train + validation + test = {train + validation + test} questions, "
            f"but {terms} terms x {modifiers} modifiers give only {terms * modifiers} pairs"
        )
