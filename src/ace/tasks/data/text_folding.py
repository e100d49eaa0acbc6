"""Normal forms of texts, equal for texts that differ in typography alone."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SUPERSCRIPTS: Final = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_MIXED = re.compile("(?<=[0-9])(?=[\u00bc-\u00be\u2150-\u215f])")
_VISIBLE_FORMATS: Final = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2")
_DASHES: Final = dict.fromkeys(map(ord, "‐‑‒–—―−﹘﹣－־⁃˗"), "-")
_QUOTES: Final = {
    **dict.fromkeys(map(ord, "‘’‚‛′ʹʼ‹›`´"), "'"),
    **dict.fromkeys(map(ord, "“”„‟″«»״「」『』《》〈〉"), '"'),
}
_MARKS = re.compile("[\u0591-\u05bd\u05bf-\u05c7\u0640\u064b-\u065f\u0670]")
"""Vowel points and lengthening strokes, which Hebrew and Arabic texts may leave out."""
_MEANINGFUL_PUNCTUATION: Final = frozenset("%‰#@&*/\\†‡§-")
_EMPHASIS = re.compile(r"(\*\*|__|\*|`)(?=\S)(.{1,300}?)(?<=\S)\1")
_WRAPPED = re.compile(
    r"\\(?:boxed|fbox|framebox|text(?:bf|it|rm|tt|normal)?|math(?:bf|rm|it|sf|tt)|mbox|operatorname)\s*\{([^{}]*)\}"
)
_DEEPEST: Final = 5
"""Limit of nested LaTeX commands that are removed."""
_MATH = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.{1,300}?)\\\)|\\\[(.{1,300}?)\\\]", re.DOTALL)


def visible_text(text: str) -> str:
    """`text` in normal form C, without characters that nobody sees, every kind of blank as one blank, stripped."""
    if text.isascii():
        return text.strip()
    composed = unicodedata.normalize("NFC", text)
    return "".join(" " if unicodedata.category(c) == "Zs" else c for c in composed if not _invisible(c)).strip()


def fold_text(text: str) -> str:
    """`visible_text` in compatibility form: half- and full-width letters, ligatures, and digits of any script are one.

    Dashes and quotes are those of ASCII. Superscripts stay apart: `10²` is `10^2`, and `1½` is `1 1/2`.
    """
    text = visible_text(text)
    if text.isascii():
        return text
    text = "".join(map(_folded, _MIXED.sub(" ", text)))
    text = unicodedata.normalize("NFKC", text).replace("\u2044", "/")
    return text.translate(_DASHES).translate(_QUOTES)


def normal_text(text: str) -> str:
    """`fold_text` without case, with single blanks, and without the punctuation and mark-up around it."""
    text = _MARKS.sub("", fold_text(without_markup(text))).casefold().replace("i\u0307", "i")
    text = unicodedata.normalize("NFKC", text)
    return " ".join(_strip_punctuation(" ".join(text.split())).split())


def without_markup(text: str) -> str:
    r"""`text` without emphasis of Markdown, math delimiters, and LaTeX commands around letters (`\boxed{\text{B}}`)."""
    if not any(mark in text for mark in "*_`$\\"):
        return text
    text = _EMPHASIS.sub(r"\2", text)
    for _ in range(_DEEPEST):
        text = _WRAPPED.sub(r"\1", text)
    return _MATH.sub(lambda match: next(filter(None, match.groups()), ""), text)


def _invisible(character: str) -> bool:
    if unicodedata.category(character) == "Cf":
        return character not in _VISIBLE_FORMATS
    return "\ufe00" <= character <= "\ufe0f" or character == "\u034f"


def _folded(character: str) -> str:
    if character in _SUPERSCRIPTS:
        return f"^{unicodedata.normalize('NFKC', character)}"
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    return character


def _strip_punctuation(text: str) -> str:
    begin, end = 0, len(text)
    while begin < end and _is_punctuation(text[begin]):
        begin += 1
    while end > begin and _is_punctuation(text[end - 1]):
        end -= 1
    return text[begin:end]


def _is_punctuation(character: str) -> bool:
    if character in _MEANINGFUL_PUNCTUATION:
        return False
    return character.isspace() or unicodedata.category(character) in ("Po", "Pi", "Pf")
