"""How long servers ask to wait, in every form in which they say so."""

from __future__ import annotations

from typing import Any

import pytest
from recorded_endpoint import inputs

from ace.inference.rate_limits import requested_wait

NOW = 1795683600.0


@pytest.mark.parametrize("entry", inputs("waits.yaml"))
def test_a_wait_is_read(entry: dict[str, Any]) -> None:
    now = None if entry.get("own_clock") else NOW
    wait = requested_wait(entry.get("headers", {}), entry.get("text", ""), now=now)
    assert wait == (None if entry["wait"] is None else pytest.approx(entry["wait"]))
