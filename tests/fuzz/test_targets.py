"""A short, seeded fuzz in every test run: mutations of the hostile corpus and of good examples."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from targets import EXPECTED, TARGETS, seeds

pytestmark = pytest.mark.slow

ROUNDS = 1500
LONGEST = 2_000


def mutations(seed: int) -> list[str]:
    """Texts of which pieces were cut, doubled, swapped, joined with others', or strewn with characters of a grammar."""
    rng = random.Random(seed)
    texts = [text[:LONGEST] for text in seeds()]
    return [_mutated(rng, texts) for _ in range(ROUNDS)]


def _mutated(rng: random.Random, texts: list[str]) -> str:
    text = rng.choice(texts)
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(text))
        end = min(len(text), start + rng.choice([1, 3, 20, 200]))
        piece = rng.choice(
            ['"', "{", "}", "[", "]", "\n", "\\", ":", ",", "- ", "## ", "[str-00001] ", "\x00", "\u2028", "🦊"]
        )
        other = rng.choice(texts)[:200]
        text = rng.choice(
            [
                text[:start] + text[end:],
                text[:start] + text[start:end] * 2 + text[end:],
                text[:start] + piece + text[start:],
                text[:start] + other + text[end:],
                text[end:] + text[:start],
            ]
        )
    return text[:LONGEST]


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_every_mutation_is_read_or_refused(name: str) -> None:
    target: Callable[[str], None] = TARGETS[name]
    read = 0
    for text in [*(seed[:LONGEST] for seed in seeds()), *mutations(sorted(TARGETS).index(name))]:
        try:
            target(text)
        except EXPECTED as error:
            assert str(error)
        else:
            read += 1
    assert read  # the good examples, at least
