"""The fixed lexicon of the micro world: invented words and their possible codes.

Every entry is one token of the micro tokenizer, so the lists are part of the shipped weights:
changing them means training again.
"""

from __future__ import annotations

import random
from typing import Final

TERM_SECTION: Final = "trm"
MODIFIER_SECTION: Final = "mod"
UNKNOWN: Final = "unknown"

_TERM_COUNT = 400
_MODIFIER_COUNT = 100
_TERM_CODE_COUNT = 200
_SEED = 20_261_123
_ONSETS = ("b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "th", "sh")
_VOWELS = "aeiou"
_CODAS = ("n", "r", "l", "sk", "m", "x", "th", "p", "nt")
_CLUSTERS = ("br", "cr", "dr", "fl", "gr", "kl", "pl", "sk", "st", "tr")
_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


def _term(rng: random.Random) -> str:
    """Two open syllables and a coda: `kujant`."""
    syllables = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(2))
    return syllables + rng.choice(_CODAS)


def _modifier(rng: random.Random) -> str:
    """One closed syllable with an opening cluster: `brev`."""
    return rng.choice(_CLUSTERS) + rng.choice(_VOWELS) + rng.choice("bdfgklmnprtvz")


def _term_code(rng: random.Random) -> str:
    return "".join(rng.choice(_CODE_LETTERS) for _ in range(3))


def _distinct(make: object, count: int, taken: set[str], rng: random.Random) -> tuple[str, ...]:
    assert callable(make)
    words: list[str] = []
    while len(words) < count:
        word = str(make(rng))
        if word not in taken:
            taken.add(word)
            words.append(word)
    return tuple(words)


def _build() -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    rng = random.Random(_SEED)
    # English words that the generator of syllables can hit.
    taken = {"crab", "crib", "drab", "drag", "drip", "drop", "drum", "flag", "flap", "flat", "flip", "flop"}
    taken |= {"grab", "gram", "grid", "grin", "grip", "plan", "plot", "plug", "plum", "skin", "skip", "stab"}
    taken |= {"stem", "step", "stop", "trap", "trim", "trip", "trot", "flag", "stun", "stud", "brag", "bran"}
    taken |= {
        "brim",
        "slip",
        "plod",
        "trek",
        "skid",
        "skim",
        "star",
        "stir",
        "grub",
        "flog",
        "flab",
        "crop",
        "crud",
        "stag",
        "drug",
    }
    terms = _distinct(_term, _TERM_COUNT, taken, rng)
    modifiers = _distinct(_modifier, _MODIFIER_COUNT, taken, rng)
    return terms, modifiers, _distinct(_term_code, _TERM_CODE_COUNT, set(), rng)


TERMS, MODIFIERS, TERM_CODES = _build()
MODIFIER_CODES: Final = tuple(f"{number:02d}" for number in range(100))

FRAMES: Final = (
    "At close , the {} stood at {} .",
    "The office booked the {} at {} in May .",
    "Under the plan , the {} was {} at year end .",
    "The {} rose to {} over the quarter .",
    "We reported the {} at about {} .",
    "Management expects the {} near {} next year .",
    "The board valued the {} at {} last week .",
    "After the audit , the {} fell to {} .",
    "Note that the {} came to {} this month .",
    "In June , the {} was sold for {} .",
    "The fund holds the {} worth {} today .",
    "A clerk entered the {} as {} .",
)
"""Sentences around an item and an amount; `{}` is the item, the second `{}` the amount."""

AMOUNTS: Final = tuple(str(number) for number in range(100, 1000, 10))
"""Three digits, so that an amount is never mistaken for a modifier's code."""
