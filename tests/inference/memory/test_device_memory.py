"""How engines divide a device: what was asked is kept, nothing exceeds the device, every model fits its part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.config import settings_from
from ace.errors import ConfigError
from ace.inference.memory.device_memory import ENGINE_BYTES, MemoryRequest, cache_shares, utilizations
from ace.inference.memory.engine_shares import memory_shares
from ace.inference.model_files.model_size import cache_bytes_per_token, loaded_bytes, weight_bytes
from ace.inference.model_files.packaged import model_path
from ace.inference.provider_choice import has_gpu

GIB = 1 << 30
SIZES = st.tuples(st.integers(0, 60 * GIB), st.integers(0, 1 << 22), st.none() | st.floats(0.05, 1.0))


@given(st.lists(SIZES, min_size=1, max_size=5), st.integers(8 * GIB, 200 * GIB))
def test_shares_keep_what_was_asked_hold_every_model_and_fit_together(
    sizes: list[tuple[int, int, float | None]], device: int
) -> None:
    claims = [MemoryRequest(f"m{i}", weights, demand, asked) for i, (weights, demand, asked) in enumerate(sizes)]
    asked = [claim.utilization for claim in claims if claim.utilization is not None]
    try:
        shares = utilizations(claims, device)
    except ConfigError:
        needed = sum(c.weights + ENGINE_BYTES for c in claims if c.utilization is None)
        assert sum(asked) > 1.0 or needed >= (max([0.9, *asked]) - sum(asked)) * device - 1
        return
    assert set(shares) == {claim.name for claim in claims}
    assert sum(shares.values()) <= 1.0 + 1e-6
    for claim in claims:
        if claim.utilization is not None:
            assert shares[claim.name] == claim.utilization
        else:
            assert shares[claim.name] * device > claim.weights + ENGINE_BYTES


@given(st.lists(st.integers(0, 1 << 30), min_size=1, max_size=6))
def test_cpu_caches_add_up_to_one_in_proportion_to_demand(demands: list[int]) -> None:
    shares = cache_shares([MemoryRequest(str(i), 0, demand) for i, demand in enumerate(demands)])
    assert sum(shares.values()) == pytest.approx(1.0)
    ordered = sorted(range(len(demands)), key=demands.__getitem__)
    assert [shares[str(i)] for i in ordered] == sorted(shares.values())


def test_a_large_and_a_small_model_on_one_gpu() -> None:
    claims = [MemoryRequest("large", 15 * GIB, 57_344), MemoryRequest("small", 3 * GIB, 2 * 28_672)]
    shares = utilizations(claims, 80 * GIB)
    assert sum(shares.values()) == pytest.approx(0.9)
    caches = [shares[claim.name] * 80 * GIB - claim.weights - ENGINE_BYTES for claim in claims]
    assert caches[0] == pytest.approx(caches[1]), "the small model plays two roles at half the bytes a token"


def test_what_cannot_fit_is_refused_with_the_numbers() -> None:
    with pytest.raises(ConfigError, match=r"models\.a\.gpu_memory_utilization: found 0\.9.*0\.9 \+ 0\.5 = 1\.4"):
        utilizations([MemoryRequest("a", 0, 1, 0.9), MemoryRequest("b", 0, 1, 0.5)], 80 * GIB)
    with pytest.raises(ConfigError, match=r"models\.b: .*42\.0 GiB.*a, b.*21\.6 GiB of the GPU's 24\.0 GiB"):
        utilizations([MemoryRequest("a", 15 * GIB, 1), MemoryRequest("b", 25 * GIB, 1)], 24 * GIB)


def test_the_size_of_a_model_is_read_from_its_files(tmp_path: Path) -> None:
    folder = Path(model_path("micro-target"))
    config = json.loads((folder / "config.json").read_text())
    held = weight_bytes(folder)
    assert held == sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    drawn = weight_bytes(folder, dummy=True)
    assert drawn > 0
    width = config["hidden_size"] // config["num_attention_heads"]
    expected = 2 * config["num_key_value_heads"] * width * config["num_hidden_layers"] * 2
    assert cache_bytes_per_token(folder) == expected
    assert (weight_bytes(tmp_path), cache_bytes_per_token(tmp_path)) == (0, 0)


def test_weights_are_loaded_in_the_precision_of_the_engine(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x" * 1000)
    for stored, loaded in ((2, "bfloat16"), (4, "float32")):
        (tmp_path / "config.json").write_text(json.dumps({"torch_dtype": loaded}))
        assert [loaded_bytes(tmp_path, itemsize) for itemsize in (2, 4)] == [2000 // stored, 4000 // stored]
    (tmp_path / "config.json").write_text(json.dumps({"torch_dtype": "float16", "quantization_config": {"bits": 4}}))
    assert loaded_bytes(tmp_path, 4) == 1000


def test_drawn_weights_are_as_large_as_the_shape_says(tmp_path: Path) -> None:
    """Qwen2.5-7B has 7.6 billion parameters."""
    shape = {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
    }
    (tmp_path / "config.json").write_text(json.dumps(shape))
    assert weight_bytes(tmp_path, dummy=True) == pytest.approx(2 * 7.6e9, rel=0.01)
    assert cache_bytes_per_token(tmp_path) == 57_344


@pytest.mark.skipif(has_gpu(), reason="on a GPU the shares are those of its memory")
def test_a_runs_engines_divide_the_cpus_memory() -> None:
    def run(**models: dict[str, str]) -> dict[str, float]:
        roles = {"reflector": {"model": "small"}, "curator": {"model": "small", "escalate": {"model": "main"}}}
        return memory_shares(settings_from({"task": {"name": "micro"}, "models": models, "roles": roles}))

    target = {"provider": "vllm", "model": "micro-target"}
    both = run(main=target, small={"provider": "vllm", "model": "micro-draft"})
    assert set(both) == {"main", "small"}
    assert sum(both.values()) == pytest.approx(1.0)
    assert all(share < 1.0 for share in both.values())
    assert run(main=target, small=target) == {"main": 1.0}
    assert run(main=target, small={"provider": "huggingface", "model": "micro-draft"}) == {"main": 1.0}
