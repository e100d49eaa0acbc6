"""What a terminal may be shown."""

from __future__ import annotations

import unicodedata


def assert_harmless(shown: str) -> None:
    """No control or formatting character but the line break, and nothing that UTF-8 cannot say."""
    categories = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    found = {char for char in shown if unicodedata.category(char) in categories} - set("\n\u200c\u200d")
    assert not found
    shown.encode("utf-8")
