"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ace.store import RunStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "ace.db"


@pytest.fixture
def store(path: Path) -> Iterator[RunStore]:
    with RunStore.open(path) as opened:
        yield opened
