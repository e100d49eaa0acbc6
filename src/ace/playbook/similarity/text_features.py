"""Features that two texts must share to be the same rule, however close their vectors are.

A number, a name or a negation makes another rule of a text, and no embedder can be trusted with that. So the hard
tokens of two texts must be equal, in order, before they are compared at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

SHORT = 12
"""Texts of fewer words are the same rule only if they have the same words: one word makes another rule of them."""

Signature = tuple[tuple[str, ...], tuple[str, ...]]
"""Hard tokens in order; and of short texts all words in order, of others the words that turn a rule round."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"\w+")
_HARD = re.compile(
    r"""
      (?P<quoted>   `[^`]+` | "[^"]+" | “[^”]+” | (?<!\w)'[^']{1,80}'(?!\w) )
    | (?P<link>     \b\w{1,40}://\S+ | (?<![\w/])/\w[\w/.-]* | (?<![\w-])--?[a-z][\w-]* )
    | (?P<number>   (?<!\w)[-+]?\d[\d.,:/%-]* )
    | (?P<name>     \b(?: \w*\d\w* | \w+(?:[._]\w+)+ | [A-Z][A-Z0-9]+ | [A-Z]?[a-z]+[A-Z]\w* )\b )
    | (?P<proper>   (?<=[\w,;:(]\ )[A-Z]\w* )
    | (?P<variable> [$@#]\w+ | <\w+> | \{\w+\} )
    | (?P<arrow>    [-=]+> | [→⇒] )
    | (?P<operator> [<>=!+*^&|%~]+ | [≤≥≠±×÷] )
    """,
    re.VERBOSE,
)
_REVERSING_WORDS = _words(
    "not no nor never without except unless cannot only before after more less least most first last "
    "until above below over under min max minimum maximum instead"
)
_ARTICLES = frozenset({"a", "an", "the", "An", "The"})
_FUNCTION_WORDS = _words(
    "a an the this that these those it its is are was were be been being do does did of to in on at for with and as by "
    "so then also you your please must should shall will would can could may might"
)
_STEM = 4
_CACHED_TEXTS = 16_384
_ENDINGS = frozenset({"", "s", "es", "d", "ed", "ing", "e", "ly", "y", "ies"})


@lru_cache(maxsize=_CACHED_TEXTS)
def signature(text: str) -> Signature:
    """The part of `text` that a duplicate of it must have as well."""
    words = _WORD.findall(text.replace("n't", " not").replace("n’t", " not"))
    if len(words) < SHORT:
        telling = tuple(word.casefold() for word in words if word not in _ARTICLES)
    else:
        telling = tuple(word for word in map(str.casefold, words) if word in _REVERSING_WORDS)
    return tuple(_hard_tokens(text)), telling


def _hard_tokens(text: str) -> Iterator[str]:
    for match in _HARD.finditer(text):
        if match.lastgroup == "arrow":
            yield "->"
        elif match.lastgroup != "proper" or match.group().casefold() not in _REVERSING_WORDS | _FUNCTION_WORDS:
            yield match.group().strip("`\"“”'.,:")


def key_phrases(text: str) -> frozenset[str]:
    """The words that tell, function words aside, and the pairs of those that stand side by side."""
    words = [word for word in _WORD.findall(text.casefold()) if word not in _FUNCTION_WORDS]
    return frozenset([*words, *(f"{first} {second}" for first, second in pairwise(words))])


def adds_a_word(text: str, other_text: str) -> bool:
    """Return True if `text` has a word that `other_text` lacks, without function words and endings of a word.

    For embedders that see spelling only: `text` then says something that `other_text` does not.
    """
    mine, other = (Counter(_WORD.findall(words.casefold())) for words in (text, other_text))
    left = list((other - mine).elements())
    for word in (mine - other).elements():
        if word in _FUNCTION_WORDS:
            continue
        twin = next((candidate for candidate in left if _same_stem(word, candidate)), None)
        if twin is None:
            return True
        left.remove(twin)
    return False


@lru_cache(maxsize=_CACHED_TEXTS)
def stem_set(text: str) -> frozenset[str]:
    """The beginnings of all words, as long as the shortest part that `adds_a_word` lets two words share."""
    return frozenset(word[:_STEM] for word in _WORD.findall(text.casefold()))


def content_stems(text: str) -> frozenset[str]:
    """The stems that another text must have as well if `text` adds no word to it. Function words need none."""
    return frozenset(word[:_STEM] for word in _WORD.findall(text.casefold()) if word not in _FUNCTION_WORDS)


def _same_stem(word: str, other: str) -> bool:
    shared = 0
    for a, b in zip(word, other, strict=False):
        if a != b:
            break
        shared += 1
    return shared >= _STEM and word[shared:] in _ENDINGS and other[shared:] in _ENDINGS
