"""Measurements in a process of their own."""

import os

import pytest

from ace.bench.hardware.isolated_process import isolated
from ace.errors import ConfigError

pytestmark = pytest.mark.slow


def test_another_process_does_the_work_and_its_result_comes_back() -> None:
    assert isolated(os.getpid) != os.getpid()


def test_an_error_comes_back_as_itself() -> None:
    with pytest.raises(ConfigError) as caught:
        isolated(_refuse, "seed", found=-1)
    assert caught.value.facts["key"] == "seed"
    assert caught.value.facts["found"] == -1


def _refuse(key: str, *, found: int) -> None:
    raise ConfigError.at(key, found, "0 or more")
