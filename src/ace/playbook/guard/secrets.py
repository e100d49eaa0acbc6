"""Secrets: the formats of detect-secrets (github.com/Yelp/detect-secrets), and some that it lacks.

Only formats that a vendor's keys have and prose has not: the library's entropy and keyword detectors take identifiers
and hashes for secrets, and are left out, as are formats that a word in capitals can have (Artifactory).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ace.playbook.guard.sensitive_spans import Span, joined

if TYPE_CHECKING:
    from detect_secrets.plugins.base import RegexBasedDetector

_OWN: Final = {
    "private key": re.compile(
        # A header alone is no secret; with a body after it, everything to the end marker is.
        r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?=[\s\S]{0,400}?[A-Za-z0-9+/=]{32})"
        r"[\s\S]*?(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)"
    ),
    "Google API key": re.compile(r"AIza[\w-]{35}"),
    "Google OAuth secret": re.compile(r"GOCSPX-[\w-]{20,}"),
    "API key": re.compile(r"sk-(?:proj|svcacct|admin|ant|or|lf)-[\w-]{20,}|sk-[A-Za-z0-9]{32,}"),
    "GitHub token": re.compile(r"github_pat_\w{22,}"),
    "Hugging Face token": re.compile(r"hf_[A-Za-z0-9]{30,}"),
    "Slack token": re.compile(r"xapp-\d-[\w-]{20,}|xox[abepors]-[\w-]{20,}"),
    "AWS secret key": re.compile(r"(?i)\baws_?secret_?access_?key\W{1,5}[A-Za-z0-9/+]{40}"),
}
_PASSWORD_IN_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,64}:([^\s/@]{1,128})@")
_ASSIGNED: Final = re.compile(
    r"(?i)(?:api[_-]?key|secret(?:[_-]?key)?|(?:access|auth|bearer)[_-]?token|client[_-]?secret|passw(?:or)?d)"
    r"[\"'`]?\s*(?:[=:]|\bis\b)\s*[\"'`]?([\w+/=!@#%^&*~-]{12,})"
)
_TAIL: Final = re.compile(r"[\w+/=.~-]*")
_TEMPLATE: Final = re.compile(r"[<>{}$%]|\*\*|\.\.\.|EXAMPLE|PLACEHOLDER|example|placeholder")
_STAND_INS: Final = re.compile(
    r"(?i)(?:my|your)?[_-]?(?:password|passwd|pass|pwd|pw|secret|token|key|change_?me|postgres|root|admin|user|test|guest)"
)


def secret_spans(text: str) -> list[Span]:
    """Every secret in `text`. Examples from documentation and stand-ins such as `user:password@` are none."""
    return joined([*_credentials(text), *_passwords(text), *_assigned(text)])


def _credentials(text: str) -> Iterator[Span]:
    for detector in _detectors():
        name = detector.secret_type
        for pattern in detector.denylist:
            for match in pattern.finditer(text):
                if _is_one(text, match) and _is_well_formed(detector, match.group()):
                    yield _whole(text, match, name)
    for name, pattern in _OWN.items():
        yield from (_whole(text, match, name) for match in pattern.finditer(text) if _is_one(text, match))


def _passwords(text: str) -> Iterator[Span]:
    for match in _PASSWORD_IN_URL.finditer(text):
        value = match.group(1)
        if not _STAND_INS.fullmatch(value) and not _TEMPLATE.search(value) and len(set(value)) > 2:
            yield Span(*match.span(1), "password in a URL")


def _assigned(text: str) -> Iterator[Span]:
    """`password = ...`, where the value mixes capitals, small letters and digits as generated ones do."""
    for match in _ASSIGNED.finditer(text):
        value = match.group(1)
        mixed = (
            re.search("[a-z]", value) and re.search("[A-Z]", value) and len(re.findall("[0-9]", value)) > 1
        ) or re.fullmatch("[0-9a-f]{24,}", value)
        if mixed and len(set(value)) > 7 and not _TEMPLATE.search(value):
            yield Span(*match.span(1), "assigned secret")


def _is_one(text: str, match: re.Match[str]) -> bool:
    """Return True if a match stands on its own and is not made up."""
    inside = text[match.start() - 1 : match.start()].isalnum() and match.group()[0].isalnum()
    return not inside and not _TEMPLATE.search(match.group()) and len(set(match.group()[8:])) > 3


def _is_well_formed(detector: RegexBasedDetector, value: str) -> bool:
    check = getattr(detector, "is_formally_valid", None)
    return check is None or bool(check(value))


def _whole(text: str, match: re.Match[str], name: str) -> Span:
    """The match with what is glued to its end: patterns of a fixed length and of lazy tails leave some of it over."""
    tail = _TAIL.match(text, match.end())
    glued = tail.group().rstrip(".") if tail else ""
    return Span(match.start(), match.end() + len(glued), name)


@lru_cache(maxsize=1)
def _detectors() -> tuple[RegexBasedDetector, ...]:
    # Loaded by the first scan: the library brings requests (it can ask a vendor whether a key is live; we never do).
    from detect_secrets.plugins.aws import AWSKeyDetector
    from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
    from detect_secrets.plugins.discord import DiscordBotTokenDetector
    from detect_secrets.plugins.github_token import GitHubTokenDetector
    from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
    from detect_secrets.plugins.jwt import JwtTokenDetector
    from detect_secrets.plugins.mailchimp import MailchimpDetector
    from detect_secrets.plugins.npm import NpmDetector
    from detect_secrets.plugins.openai import OpenAIDetector
    from detect_secrets.plugins.pypi_token import PypiTokenDetector
    from detect_secrets.plugins.sendgrid import SendGridDetector
    from detect_secrets.plugins.slack import SlackDetector
    from detect_secrets.plugins.square_oauth import SquareOAuthDetector
    from detect_secrets.plugins.stripe import StripeDetector
    from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
    from detect_secrets.plugins.twilio import TwilioKeyDetector

    return (
        AWSKeyDetector(),
        AzureStorageKeyDetector(),
        DiscordBotTokenDetector(),
        GitHubTokenDetector(),
        GitLabTokenDetector(),
        JwtTokenDetector(),
        MailchimpDetector(),
        NpmDetector(),
        OpenAIDetector(),
        PypiTokenDetector(),
        SendGridDetector(),
        SlackDetector(),
        SquareOAuthDetector(),
        StripeDetector(),
        TelegramBotTokenDetector(),
        TwilioKeyDetector(),
    )
