"""The task `routing`: the same tickets from a seed, no sentence in two splits, rules that decide every ticket."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, get_args

import pytest
import yaml

from ace.config import RoutingLevel, RoutingSettings, TaskSettings
from ace.errors import ConfigError
from ace.tasks import Splits, load_task
from ace.tasks.builtin.routing import LEVELS, Routing, Rule, make_routing, make_rules
from ace.tasks.data.data_task import DataTask
from ace.types import Sample

LEVEL_NAMES = get_args(RoutingLevel)
SPLITS = ("train", "validation", "test")
TEXTS: dict[str, Any] = yaml.safe_load((files("ace.tasks.builtin") / "routing.yaml").read_text(encoding="utf-8"))
SLOT = re.compile(r"\\\{\w+\\\}")

every_level = pytest.mark.parametrize("level", LEVEL_NAMES)


def make(level: RoutingLevel, seed: int = 0, **sizes: int) -> DataTask:
    return make_routing(RoutingSettings(level=level, seed=seed, **sizes))


def samples_of(splits: Splits) -> Iterator[Sample]:
    for split in SPLITS:
        yield from getattr(splits, split)


@cache
def pattern_of(phrase: str) -> re.Pattern[str]:
    return re.compile(SLOT.sub(r"[\\w ]+?", re.escape(phrase)))


def found_in(text: str, phrases: list[str]) -> set[str]:
    """The phrases that stand in `text`, whatever fills their slots."""
    return {phrase for phrase in phrases if pattern_of(phrase).search(text)}


def topic_of(sample: Sample) -> str:
    (topic,) = (name for name, topic in TEXTS["topics"].items() if found_in(sample.question, topic["sentences"]))
    return str(topic)


def values_of(sample: Sample, fact: str) -> set[str]:
    values = TEXTS["facts"][fact].items()
    return {name for name, value in values if found_in(sample.question, value.get("sentences") or value["products"])}


def exceptions_of(sample: Sample) -> set[str]:
    return {name for name, kind in TEXTS["exceptions"].items() if found_in(sample.question, kind["sentences"])}


class TestTexts:
    def test_there_are_many_sentences_and_none_twice(self) -> None:
        sentences = [sentence for topic in TEXTS["topics"].values() for sentence in topic["sentences"]]
        assert len(sentences) >= 300
        assert len(set(sentences)) == len(sentences)
        assert all(len(topic["sentences"]) == 24 for topic in TEXTS["topics"].values())

    def test_a_topic_split_by_product_always_names_it(self) -> None:
        for topic in TEXTS["topics"].values():
            if "family" in topic["facts"]:
                assert all("{product}" in sentence for sentence in topic["sentences"])

    def test_no_code_stands_in_a_sentence(self) -> None:
        for level in LEVEL_NAMES:
            for sample in samples_of(make(level).splits):
                assert not any(code in sample.question for code in TEXTS["codes"])

    def test_the_plain_topics_are_enough_for_many_houses(self) -> None:
        assert len([topic for topic in TEXTS["topics"].values() if topic.get("plain")]) > LEVELS["easy"].topics


class TestRules:
    @every_level
    @pytest.mark.parametrize("seed", range(3))
    def test_one_rule_a_code(self, level: RoutingLevel, seed: int) -> None:
        rules = make_rules(seed, level)
        assert len({rule.code for rule in rules}) == len(rules) == {"easy": 5, "medium": 8, "hard": 12}[level]
        assert len({rule.topic for rule in rules if rule.topic}) == LEVELS[level].topics
        assert len([rule for rule in rules if rule.exception]) == LEVELS[level].exceptions
        assert len({rule.topic for rule in rules if rule.fact}) == LEVELS[level].split

    def test_a_rule_can_be_said(self) -> None:
        assert Rule("Q17", "late").content == "Tickets about an order that has not arrived yet go to Q17."
        split = Rule("Q17", "late", "family", "garden")
        assert split.content == "Tickets about an order that has not arrived yet, for garden products, go to Q17."
        exception = Rule("Q17", exception="legal", spared="login")
        assert exception.content == (
            "Tickets that threaten with a lawyer or a court go to Q17, whatever they are about, except those about an "
            "account that the customer cannot get into."
        )

    @every_level
    def test_the_rules_decide_every_ticket(self, level: RoutingLevel) -> None:
        rules = make_rules(3, level)
        for sample in samples_of(make(level, 3).splits):
            topic, exceptions = topic_of(sample), exceptions_of(sample)
            overruling = [r for r in rules if r.exception in exceptions and r.spared != topic]
            fitting = [
                r for r in rules if r.topic == topic and (r.fact is None or values_of(sample, r.fact) == {r.value})
            ]
            (rule,) = overruling or fitting
            assert sample.target == rule.code, sample.question

    def test_a_spared_topic_is_met_with_the_exception(self) -> None:
        (exception,) = (rule for rule in make_rules(0, "hard") if rule.exception)
        spared = [sample for sample in make("hard").splits.train if topic_of(sample) == exception.spared]
        assert any(exceptions_of(sample) for sample in spared)
        assert all(sample.target != exception.code for sample in spared)


class TestTickets:
    @every_level
    @pytest.mark.parametrize("seed", [0, 7])
    def test_no_sentence_is_in_two_splits(self, level: RoutingLevel, seed: int) -> None:
        splits = make(level, seed, train=120, validation=40, test=120).splits
        topics = [sentence for topic in TEXTS["topics"].values() for sentence in topic["sentences"]]
        others = [sentence for kind in TEXTS["exceptions"].values() for sentence in kind["sentences"]]
        values = [value for fact in TEXTS["facts"].values() for value in fact.values()]
        others += [phrase for value in values for phrase in value.get("sentences", [])]
        seen = {
            split: {
                phrase for sample in getattr(splits, split) for phrase in found_in(sample.question, topics + others)
            }
            for split in SPLITS
        }
        assert all(seen.values())
        assert not seen["train"] & seen["test"]
        assert not seen["train"] & seen["validation"]
        assert not seen["validation"] & seen["test"]

    def test_easy_tickets_come_to_the_point(self) -> None:
        remarks = [*TEXTS["remarks"], *TEXTS["openings"][2:4]]
        assert not any(found_in(sample.question, remarks) for sample in samples_of(make("easy").splits))
        assert any(found_in(sample.question, remarks) for sample in samples_of(make("medium").splits))
        plain = {name for name, topic in TEXTS["topics"].items() if topic.get("plain")}
        for seed in range(10):
            assert {rule.topic for rule in make_rules(seed, "easy")} <= plain

    @every_level
    def test_hundreds_of_tickets_and_none_twice(self, level: RoutingLevel) -> None:
        questions = [sample.question for sample in samples_of(make(level, train=300, validation=50, test=300).splits)]
        assert len(set(questions)) == len(questions) == 650
        assert not any("{" in question or "  " in question for question in questions)

    @every_level
    def test_each_code_has_as_many_tickets(self, level: RoutingLevel) -> None:
        for split in SPLITS:
            counts = Counter(sample.target for sample in getattr(make(level).splits, split))
            assert len(counts) == LEVELS[level].codes
            assert max(counts.values()) - min(counts.values()) <= 1

    @every_level
    def test_a_seed_gives_the_same_task(self, level: RoutingLevel) -> None:
        assert make(level, 5).splits == make(level, 5).splits
        assert make(level, 5).splits != make(level, 6).splits
        longer = make(level, 5, validation=40)
        assert longer.splits.test == make(level, 5).splits.test

    def test_the_tickets_are_those_of_every_machine(self) -> None:
        sample = make("easy").splits.test[0]
        assert (sample.id, sample.target) == ("test-easy-0-000", "R78")
        assert sample.question == (
            "We have been looking out of the window for the egg cooker since Sunday. Yours sincerely, Maya Torres"
        )

    def test_as_many_tickets_as_the_settings_allow(self) -> None:
        assert len({sample.question for sample in make("easy", train=2000).splits.train}) == 2000
        with pytest.raises(ValueError, match="2000"):
            RoutingSettings(train=2001)

    def test_a_split_of_few_sentences_says_how_many_it_gives(self) -> None:
        assert len(make("easy", validation=60).splits.validation) == 60
        with pytest.raises(ConfigError, match=r"task\.routing\.validation: found 2000, allowed: about \d+ at most"):
            make("easy", validation=2000)


class TestGrading:
    def test_right_and_wrong(self) -> None:
        task = make("easy")
        sample = task.splits.test[0]
        assert sample.target is not None
        assert task.grade(sample, sample.target).correct
        assert task.grade(sample, f" {sample.target.lower()}. ").correct
        wrong = task.grade(sample, "A00")
        assert (wrong.value, wrong.correct, wrong.feedback) == (0.0, False, f"wrong; expected: {sample.target}")
        assert not task.grade(sample, f"{sample.target} or A00").correct

    def test_without_the_target_only_the_form_can_be_observed(self) -> None:
        task = make("easy")
        sample, codes = task.splits.test[0], sorted(rule.code for rule in make_rules(0, "easy"))
        assert isinstance(task.kind, Routing)
        assert all(task.kind.observe(sample, code).failed is None for code in codes)
        assert task.kind.observe(sample, "the desk for invoices").failed is True

    def test_a_guided_answer_is_one_of_the_codes(self) -> None:
        task = make("hard")
        assert isinstance(task.kind, Routing)
        codes = task.kind.answer_schema(task.splits.test[0])["enum"]
        assert set(codes) == {sample.target for sample in samples_of(task.splits)}

    def test_the_instructions_name_the_codes_and_no_rule(self) -> None:
        task = make("hard")
        rules = make_rules(0, "hard")
        assert ", ".join(sorted(rule.code for rule in rules)) in task.instructions
        assert not any(TEXTS["topics"][rule.topic]["about"] in task.instructions for rule in rules if rule.topic)

    def test_the_settings_name_it(self) -> None:
        settings = TaskSettings.model_validate({"name": "routing", "routing": {"level": "medium", "seed": 2}})
        assert load_task(settings).name == "routing-medium-2"
        with pytest.raises(ValueError, match="easy"):
            TaskSettings.model_validate({"name": "routing", "routing": {"level": "simple"}})
