"""Masking of secrets in texts from outside, before they are stored or shown.

Servers quote the key that they refuse, HTTP libraries the header that they cannot send, URLs the password they hold.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

MASK = "[API key]"
SHORTEST = 8
"""Shorter values of variables are words such as `EMPTY` or `none`, which texts hold for other reasons."""

_SECRET_NAME = re.compile(
    r"(?i)(?:^|[_.-])(?:api_?key|key|token|secret|password|passwd|authorization|cookie|credentials?)(?:_env)?$"
)

# What looks like a secret wherever it stands. Each pattern keeps group 1 and masks the rest.
_VALUE = r"""[^\s"',;}\])\\]"""
_OPENING = r"""\\?["']?\s*[:=,]\s*(?:b?\\?["'])?"""
_HEADERS = r"(?:[a-z]{1,20}-){0,4}api-?key|ocp-apim-subscription-key|x-auth-token|set-cookie|cookie"
_PARAMETERS = r"[a-z_-]{0,40}api[-_]?key|key|[a-z_]{0,40}token|sig|signature|password|secret|code"
_SHAPES: tuple[re.Pattern[str], ...] = (
    re.compile(rf"(?i)(\b(?:proxy-)?authorization\b{_OPENING}(?:(?:bearer|basic|token|key)\s+)?){_VALUE}{{4,}}"),
    re.compile(rf"(?i)(\b(?:{_HEADERS})\b{_OPENING}){_VALUE}{{8,}}"),
    re.compile(rf"(?i)(\bbearer\s+)(?=[^\s\"']*[\d_-]){_VALUE}{{8,}}"),
    re.compile(rf"(?i)(\bapi[_ ]key(?:\s+provided)?\s*[:=]\s*[\"']?)(?=[^\s\"']*\d){_VALUE}{{8,}}"),
    re.compile(r"(?i)(\bhttps?://)[^\s/@\"'<>]+(?=@)"),
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@\"'<>]*:)(?!\*+@)[^\s/@\"'<>]+(?=@)"),
    re.compile(rf"(?i)([?&](?:{_PARAMETERS})=)[^\s&\"'#)\]}}>]{{4,}}"),
    re.compile(r"()\b(?:sk|rk|pk)-[A-Za-z0-9_-]{16,}"),
    re.compile(r"()\b(?:hf|gsk|r8|pplx|nvapi|xai|ghp|glpat)[_-][A-Za-z0-9_-]{16,}"),
    re.compile(r"()\bAIza[A-Za-z0-9_-]{30,}"),
)
AROUND = " \t\r\n\x0b\x0c\"'`\u201c\u201d\u2018\u2019\u201e\u00ab\u00bb\ufeff\u200b\u00a0"
"""White space, quotes and invisible characters that surround a pasted key."""


def names_a_secret(key: str) -> bool:
    """Return True if what stands under this key of a config, or in this variable, may be a secret."""
    return _SECRET_NAME.search(key) is not None


def mask(text: str, secrets: Iterable[str | None] = ()) -> str:
    """`text` of an error without the given `secrets`, those of the environment, and whatever looks like one."""
    text = mask_values(text, (*secrets, *_environment()))
    for shape in _SHAPES:
        text = shape.sub(rf"\g<1>{MASK}", text)
    return text


def mask_values(text: str, secrets: Iterable[str | None]) -> str:
    """`text` without the given `secrets`, in every form in which libraries and servers quote them."""
    for secret in dict.fromkeys(secrets):
        if secret is None:
            continue
        for form in _forms(secret):
            if form in text:
                text = text.replace(form, MASK)
    return text


def _environment() -> tuple[str, ...]:
    """Values of the environment's variables that are named like secrets."""
    return tuple(value for name, value in os.environ.items() if value and names_a_secret(name))


@lru_cache(maxsize=256)
def _forms(secret: str) -> tuple[str, ...]:
    """The secret as it was set and without what surrounds it, plain and as URLs, JSON, Python and HTTP write it."""
    forms: dict[str, None] = {}
    for value in (secret, secret.strip(), secret.strip(AROUND)):
        if len(value) < SHORTEST and not value.startswith("sk-"):
            continue
        raw = value.encode("utf-8", "surrogatepass")
        quoted = (json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value), repr(raw)[1:])
        coded = (quote(raw, safe=""), quote_plus(raw), base64.b64encode(raw).decode().rstrip("="))
        forms.update(dict.fromkeys((value, *(text[1:-1] for text in quoted), *coded)))
    return tuple(sorted(forms, key=len, reverse=True))
