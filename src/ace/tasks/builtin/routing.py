"""Support tickets and the desks that they go to: house rules of an invented company, which no model can know.

The sentences lie in `routing.yaml`. A seed draws the rules, and cuts each list of sentences and products into parts for
training, validation and test: no sentence of a topic, a fact or an exception is in two splits.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from ace.config import FieldSettings, RoutingLevel, RoutingSettings
from ace.errors import ConfigError
from ace.tasks.data.data_kind import Kind, in_words
from ace.tasks.data.data_task import DataTask
from ace.tasks.data.graders import normalized
from ace.tasks.data.record_files import Fields
from ace.tasks.task import Splits
from ace.types import Observation, Sample, Score

_TRIES = 200
"""Tickets that are written in search of one that is not there yet."""

SHARES = {"train": 0.5, "validation": 0.1, "test": 0.4}
"""The share of each list of sentences that a split gets."""


@dataclass(frozen=True, slots=True)
class Level:
    """Size of a house: its topics, those that a second fact splits in two, and the exceptions that overrule them.

    `stated_facts` is how many facts a ticket tells besides the product, whether or not they matter for its topic. With
    `plain` the topics are those that the text marks as easy to tell apart, and tickets come to the point at once.
    """

    topics: int
    split: int
    exceptions: int
    stated_facts: int
    plain: bool = False

    @property
    def codes(self) -> int:
        return self.topics + self.split + self.exceptions


LEVELS: Mapping[RoutingLevel, Level] = {
    "easy": Level(topics=5, split=0, exceptions=0, stated_facts=0, plain=True),
    "medium": Level(topics=5, split=3, exceptions=0, stated_facts=1),
    "hard": Level(topics=7, split=4, exceptions=1, stated_facts=2),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that sends a ticket to `code`: by its topic, and where that is split, by the value of a fact.

    A rule without a topic is an exception, which overrules those of all topics but `spared`.
    """

    code: str
    topic: str | None = None
    fact: str | None = None
    value: str | None = None
    exception: str | None = None
    spared: str | None = None

    @property
    def content(self) -> str:
        """The text of the bullet that states this rule."""
        texts = _texts()
        if self.exception is not None:
            spared = texts["topics"][self.spared]["about"]
            about = texts["exceptions"][self.exception]["about"]
            return f"{_capital(about)} go to {self.code}, whatever they are about, except those about {spared}."
        about = texts["topics"][self.topic]["about"]
        if self.fact is None:
            return f"Tickets about {about} go to {self.code}."
        return f"Tickets about {about}, for {texts['facts'][self.fact][self.value]['about']}, go to {self.code}."


class Routing(Kind):
    """The code of a desk, case, white space and punctuation around it aside."""

    def __init__(self, codes: Sequence[str]) -> None:
        self._codes = tuple(sorted(codes))

    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        question = record.required(fields.question, "every sample needs a ticket")
        target = record.required(fields.target, "every sample needs the code of its desk")
        return Sample((record.text(fields.id) or default_id).strip(), question, target)

    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        value = normalized(answer, target)
        return Score(value, value == 1.0, "correct" if value == 1.0 else f"wrong; expected: {target}")

    def observe(self, sample: Sample, answer: str) -> Observation:
        valid = any(normalized(answer, code) for code in self._codes)
        return in_words([] if valid else [f"{answer[:200]!r} is none of the codes {', '.join(self._codes)}"])

    def answer_schema(self, sample: Sample) -> Mapping[str, Any]:
        """One of the codes."""
        return {"type": "string", "enum": list(self._codes)}


def make_rules(seed: int, level: RoutingLevel) -> tuple[Rule, ...]:
    """The rules of the house of `seed`, one a code: a perfect playbook is their contents."""
    size, texts = LEVELS[level], _texts()
    rng = random.Random(f"routing rules {seed} {level}")
    drawn = [topic for topic, text in texts["topics"].items() if text.get("plain") or not size.plain]
    topics = rng.sample(drawn, size.topics)
    topics.sort(key=lambda topic: not texts["topics"][topic]["facts"])  # those that cannot be split come last
    codes = iter(rng.sample(texts["codes"], size.codes))
    rules = []
    for topic in topics[: size.split]:
        fact = rng.choice(texts["topics"][topic]["facts"])
        rules += [Rule(next(codes), topic, fact, value) for value in texts["facts"][fact]]
    rules += [Rule(next(codes), topic) for topic in topics[size.split :]]
    for exception in rng.sample(list(texts["exceptions"]), size.exceptions):
        rules.append(Rule(next(codes), exception=exception, spared=rng.choice(topics)))
    return tuple(rules)


def make_routing(settings: RoutingSettings) -> DataTask:
    """The task of a house: its tickets in three splits, each code as often as any other, give or take one.

    ConfigError where a split is to hold more tickets than its sentences give.
    """
    rules = make_rules(settings.seed, settings.level)
    splits = {}
    for split in SHARES:
        writer = _Writer(rules, settings.level, settings.seed, split)
        splits[split] = writer.write_tickets(getattr(settings, split))
    kind = Routing([rule.code for rule in rules])
    return DataTask(f"routing-{settings.level}-{settings.seed}", Splits(**splits), kind, _instructions(rules))


class _Deck:
    """Phrases in random order, none of them again before each was drawn."""

    def __init__(self, phrases: Sequence[str], rng: random.Random) -> None:
        self._phrases, self._rng = phrases, rng
        self._left: list[str] = []

    def draw(self) -> str:
        if not self._left:
            self._left = self._rng.sample(self._phrases, len(self._phrases))
        return self._left.pop()


class _Writer:
    """Writes the tickets of one split."""

    def __init__(self, rules: Sequence[Rule], level: RoutingLevel, seed: int, split: str) -> None:
        self._rules, self._level, self._seed, self._split = rules, level, seed, split
        self._rng = random.Random(f"routing tickets {seed} {level} {split}")
        self._texts = _decks(seed, split, self._rng)

    def write_tickets(self, count: int) -> tuple[Sample, ...]:
        rules = list(itertools.islice(itertools.cycle(self._rules), count))
        self._rng.shuffle(rules)
        samples: dict[str, Sample] = {}
        for number, rule in enumerate(rules):
            text = next((text for text in (self._ticket(rule) for _ in range(_TRIES)) if text not in samples), None)
            if text is None:
                allowed = f"about {number} at most: the sentences of this split give no more"
                raise ConfigError.at(f"task.routing.{self._split}", count, allowed)
            samples[text] = Sample(f"{self._split}-{self._level}-{self._seed}-{number:03d}", text, rule.code)
        return tuple(samples.values())

    def _ticket(self, rule: Rule) -> str:
        rng, texts = self._rng, self._texts
        topic = rule.topic or rng.choice([r.topic for r in self._rules if r.topic not in (None, rule.spared)])
        values = self._values(topic, rule)
        asides = [texts["facts"][fact][value]["sentences"].draw() for fact, value in values.items() if fact != "family"]
        asides += [texts["exceptions"][name]["sentences"].draw() for name in self._exceptions(rule)]
        if not LEVELS[self._level].plain and rng.random() < 0.5:
            asides.append(texts["remarks"].draw())
        rng.shuffle(asides)
        body = [*asides, texts["topics"][topic]["sentences"].draw()]
        if rng.random() < 0.7:  # most customers come to the point at once
            body.reverse()
        plain = LEVELS[self._level].plain
        opening = [texts["openings"].draw()] if not plain and rng.random() < 0.8 else []
        closing = [texts["closings"].draw()] if rng.random() < 0.8 else []
        slots = {name: rng.choice(words) for name, words in texts["slots"].items()}
        product = texts["facts"]["family"][values["family"]]["products"].draw()
        text = " ".join([*opening, *body, *closing])
        return text.format(product=product, order=rng.randint(20_000, 89_999), **slots)

    def _values(self, topic: str, rule: Rule) -> dict[str, str]:
        """The facts that a ticket tells: the product's family, the one that decides, and others that fit the topic."""
        facts, fitting = self._texts["facts"], self._texts["topics"][topic]["facts"]
        own = next((r.fact for r in self._rules if r.topic == topic and r.fact), None)
        others = [fact for fact in fitting if fact not in ("family", own)]
        extra = LEVELS[self._level].stated_facts - (own not in (None, "family"))
        names = ["family", *([own] if own else []), *self._rng.sample(others, min(extra, len(others)))]
        values = {name: self._rng.choice(list(facts[name])) for name in names}
        return {**values, rule.fact: rule.value} if rule.fact and rule.value else values

    def _exceptions(self, rule: Rule) -> list[str]:
        """The exceptions that a ticket names: its own, and half of the time one that spares its topic."""
        if rule.exception is not None:
            return [rule.exception]
        spared = [other.exception for other in self._rules if other.exception and other.spared == rule.topic]
        return [name for name in spared if self._rng.random() < 0.5]


def _instructions(rules: Sequence[Rule]) -> str:
    """Instructions for the model: the codes, in an order that reveals nothing, and no rule."""
    codes = ", ".join(sorted(rule.code for rule in rules))
    return (
        f"You sort the support tickets of {_texts()['company']}. Decide by what the customer writes which desk handles "
        f"the ticket, and answer with the code of that desk alone. The desks are {codes}. Which desk handles what is a "
        "house rule that no code reveals."
    )


def _decks(seed: int, split: str, rng: random.Random) -> Any:
    """The texts with a deck in place of each list of phrases: the split's share of it, cut by `seed`."""
    cutter = random.Random(f"routing cut {seed}")

    def cut(value: Any, key: str = "") -> Any:
        if isinstance(value, Mapping):
            return {name: cut(item, name) for name, item in value.items()}
        if key not in ("sentences", "products", "openings", "remarks", "closings"):
            return value
        order = cutter.sample(value, len(value))
        ends = [round(len(order) * share) for share in itertools.accumulate(SHARES.values())]
        parts = dict(zip(SHARES, itertools.pairwise([0, *ends]), strict=True))
        return _Deck(order[slice(*parts[split])], rng)

    return cut(_texts())


@cache
def _texts() -> Any:
    return yaml.safe_load((files("ace.tasks.builtin") / "routing.yaml").read_text(encoding="utf-8"))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
