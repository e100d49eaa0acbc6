"""Nothing in data can steer a terminal; numbers read well."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ace.reporting.text import cell, count, percent, seconds, visible, visible_lines


@given(st.text())
def test_visible_text_is_one_harmless_line(text: str) -> None:
    shown = visible(text)
    assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in shown)
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f") & set(shown)
    shown.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_lines_are_kept_where_asked() -> None:
    assert visible_lines("one\ntwo\r\x1b[2J") == "one\ntwo\\r\\x1b[2J"


def test_a_cell_shows_markup_as_text() -> None:
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=True).print(cell("[red]no[/red] :smile:", limit=12))
    assert "[red]no[/re…" in out.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.5, "0.50 s"), (12.34, "12.3 s"), (59.96, "60.0 s"), (245, "4:05"), (3723, "1:02:03")],
)
def test_seconds(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


def test_numbers() -> None:
    assert (percent(None), percent(0.125), count(1234567)) == ("-", "12.5%", "1 234 567")
