"""KV memory, measured in both engines."""

import json

import pytest

from ace.bench.kv_memory import CONTIGUOUS, PAGED, STATIC, measure_memory


@pytest.mark.nightly
@pytest.mark.engine
def test_shared_pages_hold_less_than_padded_rows_and_those_less_than_whole_contexts() -> None:
    pytest.importorskip("vllm")
    report = measure_memory(shape="micro", requests=8, tokens=4, budget_mib=64, seed=0)
    held = {row.layout: row.kv_bytes for row in report.rows}
    assert 0 < held[PAGED] < held[CONTIGUOUS] < held[STATIC]
    fits = {row.layout: row.fits for row in report.rows}
    assert fits[PAGED] > fits[CONTIGUOUS] > fits[STATIC] > 0
    assert json.loads(json.dumps(report.to_json()))["requests"] == 8
