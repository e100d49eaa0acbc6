"""Personal data: identifiers with check digits (python-stdnum), phone numbers, addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from stdnum import iban, luhn
from stdnum.us import ssn

from ace.playbook.guard.sensitive_spans import Span, joined

_EMAIL: Final = re.compile(r"(?<![\w.+:/-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w@-])(?!\()")
_NOBODYS: Final = re.compile(r"(?i)@(?:.*\.)?(?:example(?:\.\w+)?|test|invalid|localhost|local)$|^(?:git|no-?reply)@")
_PHONE: Final = re.compile(r"(?<![\w+*/^=)\].])\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,5}\)?){1,6}(?![\w%]|[.,]\d)")
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])")
_CARD: Final = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){12,18}(?![\w-]|[.,]\d)")
_ISSUER: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|6(?:011|5\d\d)\d{12}|35\d{14}"
)
_SSN: Final = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")


def personal_spans(text: str) -> list[Span]:
    """E-mail addresses, phone numbers in international form, IBANs, card numbers and US social security numbers."""
    kinds: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
        ("e-mail address", _EMAIL, _is_email),
        ("phone number", _PHONE, _is_phone),
        ("IBAN", _IBAN, iban.is_valid),
        ("card number", _CARD, _is_card),
        ("US social security number", _SSN, ssn.is_valid),
    )
    return joined(span for name, pattern, valid in kinds for span in _spans(text, name, pattern, valid))


def _spans(text: str, name: str, pattern: re.Pattern[str], valid: Callable[[str], bool]) -> Iterator[Span]:
    for match in pattern.finditer(text):
        if valid(match.group()):
            yield Span(*match.span(), name)


def _is_email(text: str) -> bool:
    """Reserved domains (RFC 2606, RFC 6761), `git@host` and senders that nobody reads name no person."""
    return not _NOBODYS.search(text)


def _is_phone(text: str) -> bool:
    """E.164 has at most 15 digits; the shortest national numbers in use make it 8, and +1 has ten after it."""
    digits = re.sub(r"\D", "", text)
    return len(digits) == 11 if digits.startswith("1") else 8 <= len(digits) <= 15


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return _ISSUER.fullmatch(digits) is not None and luhn.is_valid(digits)
