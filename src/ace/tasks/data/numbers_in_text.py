"""Numbers in texts: signs, separators, fractions, powers of ten, LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ace.tasks.data.text_folding import fold_text, without_markup

_CURRENCY: Final = "$€£¥₹₩₽¢₺₫₪฿"
_GROUP_MARK = re.compile(r"(?<=\d)(?:[\u2009\u202f\u00a0\u2007\u2008\u2006'’_]|\\[,;! ]|\{,\}|٬)(?=\d{3}(?!\d))")
_SPACED = re.compile(r"\s*[^\d\s]{0,4}\s?\d{1,3}(?: \d{3})+(?:[.,]\d+)?\s?[^\d\s]{0,12}\s*")
_MINUS = re.compile(rf"[−－]\s*(?=[\d.{re.escape(_CURRENCY)}\\])")
_FRACTION = re.compile(r"(\d?)\s{0,3}\\[dtc]?frac\s*(?:\{([^{}]*)\}\s*\{([^{}]*)\}|(\d)\s*(\d))")
_TIMES_TEN = re.compile(r"(?<=\d)\s*(?:×|x|\*|·|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*([-+]?\d+)")
_TEN = re.compile(r"(?<![\d.,^])10(?:\^|\*\*)([-+]?\d+)")
_UNIT_POWER = re.compile(r"(?<=[^\W\d])\s?\^\s?[-+]?\d+|\^\s?(?:°|\\circ)")
_TOKEN = re.compile(r"(?P<digits>\d[\d.,]*\d|\d|(?<!\d)\.\d+)(?P<exponent>[eE][-+]?\d+(?!\w))?")
_BETWEEN_FRACTION = re.compile(r"\s?/\s?")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?")
_DOTTED_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:\.\d{3}){2,}")
_DECIMAL_COMMA = re.compile(r"\d+,\d+")
_SIGN = re.compile(rf"-(?:[{re.escape(_CURRENCY)}] ?)?$")
_DEBT = re.compile(rf"\s*\(\s*[{re.escape(_CURRENCY)}]\s?[\d.,]+\s*\)\s*")
_BOXED: Final = "\\boxed"


class _Token(NamedTuple):
    start: int
    end: int
    values: tuple[float, ...]


def numbers(text: str) -> list[float]:
    r"""All finite numbers in `text`, a percentage or an amount of money as its number.

    A hyphen is a sign only where no letter, digit or closing bracket stands before it (`COVID-19` has a 19). Thousands
    may be separated by commas, apostrophes, underscores, thin or non-breaking blanks; a comma is a decimal one where it
    cannot be a separator (`3,14`). `1/2`, `\frac{1}{2}`, `½`, `1 1/2` and `1.5 × 10^3` are one number each.
    """
    plain = _plain(text)
    values = list(_combined(plain, [_token(plain, match) for match in _TOKEN.finditer(plain)]))
    if len(values) == 1 and _DEBT.fullmatch(plain):
        values = [-abs(values[0])]
    return [number for number in values if math.isfinite(number)]


def stated_answer(text: str) -> str:
    r"""The part that an answer marks as its result: the last `\boxed{...}`, the text after `####`, else all of it."""
    start = text.rfind(_BOXED)
    if start >= 0 and (begin := text.find("{", start)) >= 0:
        depth = 0
        for position in range(begin, len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return text[begin + 1 : position]
    return text.rpartition("####")[2] if "####" in text else text


def _plain(text: str) -> str:
    """`text` in ASCII where it bears on numbers: one sign, one way to write fractions and powers."""
    if text.isascii() and text.isdecimal():
        return text
    text = _GROUP_MARK.sub("", text).replace("٫", ".").replace("٬", ",")
    text = _MINUS.sub("-", text)
    for escaped in "$%&#":
        text = text.replace(f"\\{escaped}", escaped)
    text = re.sub(r"\\(?:left|right|displaystyle)\b|\\[,;!:]", "", text)
    text = _FRACTION.sub(_as_quotient, text)
    text = fold_text(without_markup(text))
    text = re.sub(r"\^\s*\{\s*([-+]?\d+)\s*\}", r"^\1", text)
    text = _TEN.sub(r"1e\1", _TIMES_TEN.sub(r"e\1", text))
    text = _UNIT_POWER.sub("", text)
    return text.replace(" ", "") if _SPACED.fullmatch(text) else text


def _as_quotient(match: re.Match[str]) -> str:
    whole, top, bottom, first, second = match.groups()
    return f"{whole}{' ' if whole else ''}{(top or first).strip()}/{(bottom or second).strip()}"


def _token(text: str, match: re.Match[str]) -> _Token:
    digits, exponent = match["digits"], match["exponent"] or ""
    sign = -1.0 if _is_negative(text, match.start()) else 1.0
    values = [float(part + exponent) for part in _decimal_parts(digits, text, match.span("digits"))]
    return _Token(match.start(), match.end(), (sign * values[0], *values[1:]))


def _decimal_parts(digits: str, text: str, span: tuple[int, int]) -> list[str]:
    """The digits as Python writes a number; several where the marks between them are no separators."""
    if "," not in digits and digits.count(".") < 2:
        return [digits]
    if _THOUSANDS.fullmatch(digits):
        return [digits.replace(",", "")]
    if _DOTTED_THOUSANDS.fullmatch(digits):
        return [digits.replace(".", "").replace(",", ".")]
    in_brackets = text[span[0] - 1 : span[0]] in ("(", "[", "{") and text[span[1] : span[1] + 1] in (")", "]", "}")
    if _DECIMAL_COMMA.fullmatch(digits) and not in_brackets:
        return [digits.replace(",", ".")]
    parts = re.findall(r"\d+(?:\.\d+)?", digits)
    return parts or [digits.strip(".,")]


def _is_negative(text: str, start: int) -> bool:
    sign = _SIGN.search(text, max(0, start - 8), start)
    if sign is None:
        return False
    before = text[sign.start() - 1 : sign.start()] if sign.start() else ""
    return not (before.isalnum() or before in tuple(")]}%°."))


def _combined(text: str, tokens: list[_Token]) -> Iterator[float]:
    """The tokens' values, with fractions and mixed numbers as one value each."""
    position = 0
    while position < len(tokens):
        token = tokens[position]
        whole = 0.0
        if _is_fraction(text, tokens, position + 1) and _is_whole(text, token, tokens[position + 1]):
            whole, position = token.values[0], position + 1
            token = tokens[position]
        if _is_fraction(text, tokens, position):
            quotient = token.values[0] / tokens[position + 1].values[0]
            yield whole + math.copysign(quotient, whole) if whole else quotient
            position += 2
        else:
            yield from token.values
            position += 1


def _is_whole(text: str, token: _Token, following: _Token) -> bool:
    """Return True if `token` is the whole part of a mixed number."""
    between = text[token.end : following.start]
    return between.isspace() and len(token.values) == 1 and token.values[0].is_integer() and token.values[0] != 0


def _is_fraction(text: str, tokens: list[_Token], position: int) -> bool:
    """Return True if two tokens from `position` on are a fraction, and no date or path."""
    if position + 1 >= len(tokens):
        return False
    top, bottom = tokens[position], tokens[position + 1]
    if not _BETWEEN_FRACTION.fullmatch(text, top.end, bottom.start) or len(top.values) + len(bottom.values) != 2:
        return False
    alone = text[top.start - 1 : top.start] != "/" and text[bottom.end : bottom.end + 1] != "/"
    return alone and bottom.values[0] != 0
