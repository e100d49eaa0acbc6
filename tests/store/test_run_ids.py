"""Run ids and finding a run by part of its id."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.errors import RunNotFoundError
from ace.store.run_ids import new_run_id, resolve, slug

IDS = ["20260103-000000-gsm-b001", "20260102-000000-micro-a002", "20260102-000000-micro-a001"]


@given(st.text())
def test_slug_is_always_a_plain_name(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug(name))
    assert len(slug(name)) <= 40


def test_slug_keeps_what_it_can() -> None:
    assert slug("Überprüfung: GSM8K, 2. Lauf!") == "uberprufung-gsm8k-2-lauf"
    assert slug("../../etc/passwd") == "etc-passwd"
    assert slug("日本") == "run"


def test_id_has_the_utc_time() -> None:
    created = datetime(2026, 1, 1, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert re.fullmatch(r"20251231-230203-my-run-[0-9a-f]{4}", new_run_id("My run", created))
    assert new_run_id("a", datetime.now(UTC)) != new_run_id("a", datetime.now(UTC))


def test_resolve_finds_whole_prefix_and_latest() -> None:
    assert resolve(IDS[2], IDS) == IDS[2]
    assert resolve("20260103", IDS) == IDS[0]
    assert resolve("latest", IDS) == IDS[0]


def test_an_id_that_begins_another_is_still_found() -> None:
    assert resolve("a", ["ab", "a"]) == "a"


def test_an_ambiguous_prefix_lists_its_runs() -> None:
    with pytest.raises(RunNotFoundError, match="beginning of 2 runs") as caught:
        resolve("20260102", IDS)
    assert caught.value.facts["near"] == IDS[1:]


@pytest.mark.parametrize("name", ["gsm", "20260103-000000-gsm-b002", "MICRO", "nothing like it", ""])
def test_an_unknown_run_names_near_ones(name: str) -> None:
    with pytest.raises(RunNotFoundError, match="no run") as caught:
        resolve(name, IDS)
    assert caught.value.facts["near"]
    if name == "gsm":
        assert caught.value.facts["near"][0] == IDS[0]


def test_an_empty_store_says_so() -> None:
    for name in ("latest", "x"):
        with pytest.raises(RunNotFoundError, match="the store is empty"):
            resolve(name, [])
