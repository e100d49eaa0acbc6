"""Named entities, token by token: FiNER-ORD and FiNER-139.

Sources: FiNER-ORD, Shah et al. 2023 (arXiv 2302.11157), labels PER, LOC and ORG; FiNER-139, Loukas et al., ACL 2022
(arXiv 2203.06482), 139 XBRL tags. Spans are scored by seqeval as CoNLL does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ace.config import FieldSettings
from ace.tasks.data.data_kind import Kind, in_words
from ace.tasks.data.record_files import Fields, json_kind, needs_data_extra
from ace.tasks.task import Graded
from ace.types import Observation, Sample, Score

OUTSIDE = "O"
_TAG = re.compile(r"[BI]-\S+|O")
_SEPARATOR = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class TagSet:
    """A data set's tags. `numbers` are the names of its numbered tags; empty where a file must name them itself."""

    task: str
    numbers: tuple[str, ...]
    about: str


FINER_ORD = TagSet(
    "finer_ord",
    (OUTSIDE, "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"),
    "persons (PER), locations (LOC) and organisations (ORG)",
)
FINER_139 = TagSet("finer_139", (), "the numbers that XBRL reports, by their XBRL tag")


class Entities(Kind):
    """One BIO tag a token. The score of a sample is the share of its tokens that are tagged right.

    Tags that are missing at the end count as `O`, those beyond the last token do not count. Over an evaluation:
    `token_accuracy`; `micro_f1` over the tokens that are in an entity or tagged as one; `span_f1`; and precision,
    recall and F1 of each entity's spans. A sample without an answer is measured as all `O`.
    """

    fields = FieldSettings()

    def __init__(self, tags: TagSet) -> None:
        self._tags = tags

    def sample(self, fields: FieldSettings, record: Fields, default_id: str) -> Sample:
        tokens = _texts(record, fields.tokens)
        tags = [self._name(record, fields.tags, tag) for tag in _list(record, fields.tags)]
        if len(tags) != len(tokens):
            raise record.error(fields.tags, f"{len(tags)} tags for {len(tokens)} tokens")
        question = (
            f"Tag {self._tags.about} in this text. Give exactly one tag for each of its {len(tokens)} tokens, with "
            f"spaces between the tags: B-X for the first token of an X, I-X for those that continue it, O for all "
            f"others.\nTokens: {' '.join(tokens)}"
        )
        identity = (record.text(fields.id) or default_id).strip()
        return Sample(identity, question, " ".join(tags), metadata={"tokens": tuple(tokens)})

    def _name(self, record: Fields, field: str, tag: object) -> str:
        if isinstance(tag, str) and _TAG.fullmatch(tag):
            return tag
        if isinstance(tag, int) and not isinstance(tag, bool) and 0 <= tag < len(self._tags.numbers):
            return self._tags.numbers[tag]
        allowed = "O, B-... or I-..."
        if self._tags.numbers:
            allowed += f", or a number up to {len(self._tags.numbers) - 1}"
        raise record.error(field, f"found the tag {tag!r}, allowed: {allowed}")

    def grade(self, sample: Sample, target: str, answer: str) -> Score:
        expected = target.split()
        predicted = _aligned(answer, len(expected))
        tokens: Sequence[str] = sample.metadata["tokens"]
        wrong = [
            f"{token!r} (token {number}) is {mine}, expected {right}"
            for number, (token, mine, right) in enumerate(zip(tokens, predicted, expected, strict=True), 1)
            if mine != right
        ]
        feedback = "correct" if not wrong else f"{len(wrong)} of {len(expected)} tags wrong: {'; '.join(wrong[:20])}"
        return Score(1.0 - len(wrong) / len(expected), not wrong, feedback)

    def observe(self, sample: Sample, answer: str) -> Observation:
        tags = _split(answer)
        problems = []
        if len(tags) != len(sample.metadata["tokens"]):
            problems.append(f"{len(tags)} tags for {len(sample.metadata['tokens'])} tokens")
        problems += [f"{tag!r} is no BIO tag" for tag in dict.fromkeys(tags) if not _TAG.fullmatch(tag)]
        before = OUTSIDE
        for number, tag in enumerate(tags, 1):
            if tag.startswith("I-") and before[2:] != tag[2:]:
                problems.append(f"tag {number}, {tag}, continues nothing: {before} stands before it")
            before = tag
        return in_words(problems)

    def same(self, sample: Sample, one: str, other: str) -> bool:
        return _split(one) == _split(other)

    def metrics(self, graded: Graded) -> Mapping[str, float]:
        expected = [(sample.target or "").split() for sample, _ in graded]
        predicted = [_aligned(answer or "", len(tags)) for (_, answer), tags in zip(graded, expected, strict=True)]
        return entity_scores(expected, predicted)


def entity_scores(expected: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """Token accuracy, micro-F1 over tokens, span F1 and each entity's scores; sentences of as many tags on both sides.

    Tags that are no BIO tags count as `O`. ProviderMissingError without seqeval.
    """
    try:
        from seqeval.metrics import classification_report
    except ImportError as error:
        raise needs_data_extra("entity scores", "seqeval") from error
    predicted = [[tag if _TAG.fullmatch(tag) else OUTSIDE for tag in tags] for tags in predicted]
    pairs = [pair for one, other in zip(expected, predicted, strict=True) for pair in zip(one, other, strict=True)]
    if not pairs:
        return {}
    hits = sum(one == other != OUTSIDE for one, other in pairs)
    marked = sum((one != OUTSIDE) + (other != OUTSIDE) for one, other in pairs)
    scores = {
        "token_accuracy": sum(one == other for one, other in pairs) / len(pairs),
        "micro_f1": 2 * hits / marked if marked else 1.0,
    }
    if not marked:  # seqeval knows no report of nothing
        return {**scores, "span_f1": 1.0}
    report: dict[str, Any] = classification_report(expected, predicted, output_dict=True, zero_division=0)
    scores["span_f1"] = float(report["micro avg"]["f1-score"])
    for entity, values in sorted(report.items()):
        if not entity.endswith(" avg"):
            for name, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
                scores[f"{entity}_{name}"] = float(values[key])
    return scores


def sentences(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """Records of whole sentences from rows of one token each, as FiNER-ORD is published.

    A sentence is a run of rows of the same `doc_idx` and `sent_idx`; it stands on the line of its first row.
    """
    line, key = 0, (None, None)
    tokens: list[str] = []
    tags: list[object] = []
    for number, row in rows:
        here = (row.get("doc_idx"), row.get("sent_idx"))
        if here != key and tokens:
            yield line, {"id": f"{key[0]}-{key[1]}", "tokens": tokens, "ner_tags": tags}
            tokens, tags = [], []
        if not tokens:
            line, key = number, here
        label = row.get("gold_label")
        tokens.append(row.get("gold_token") or "")
        tags.append(int(label) if isinstance(label, str) and label.isdecimal() else label)
    if tokens:
        yield line, {"id": f"{key[0]}-{key[1]}", "tokens": tokens, "ner_tags": tags}


def _list(record: Fields, field: str) -> list[Any]:
    value = record.value(field)
    if isinstance(value, str):
        return value.split()
    if not isinstance(value, list) or not value:
        description = "nothing" if value is None else "an empty list" if value == [] else json_kind(value)
        raise record.error(field, f"found {description}, allowed: a list, or a text with spaces between its items")
    return value


def _texts(record: Fields, field: str) -> list[str]:
    tokens = _list(record, field)
    for token in tokens:
        if not isinstance(token, str) or not token.split():
            raise record.error(field, f"found the token {token!r}, allowed: a text")
    return ["_".join(token.split()) for token in tokens]


def _split(answer: str) -> list[str]:
    return [tag for tag in _SEPARATOR.split(answer.strip().strip("[]")) if tag for tag in [tag.strip("'\"")]]


def _aligned(answer: str, size: int) -> list[str]:
    return (_split(answer) + [OUTSIDE] * size)[:size]
