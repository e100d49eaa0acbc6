"""Adapters before an engine is loaded: what a folder must hold, and what a run's tiers are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ace.config import ModelSettings, settings_from
from ace.errors import ConfigError
from ace.inference import LoraBackend, ScriptedBackend, bind, create_backend
from ace.inference.factory import open_backends
from ace.inference.memory.engine_shares import memory_shares
from ace.inference.model_files.lora_adapter import Adapter, read_adapter
from ace.inference.provider_choice import has_gpu
from ace.inference.wrappers.lora_backend import LoraRequest
from ace.types import Message, Request

LORA: dict[str, Any] = {"peft_type": "LORA", "r": 16, "target_modules": ["q_proj"]}


def written(folder: Path, config: Any, *, weights: str = "adapter_model.safetensors") -> str:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    (folder / weights).touch()
    return str(folder)


def test_the_rank_is_the_largest_of_any_module(tmp_path: Path) -> None:
    path = written(tmp_path / "a", LORA)
    assert read_adapter(path) == Adapter(path, 16)
    assert read_adapter(written(tmp_path / "b", LORA | {"rank_pattern": {"o_proj": 64, "q_proj": 8}})).rank == 64


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (LORA | {"peft_type": "IA3"}, "peft_type LORA; adapter_config.json says 'IA3'"),
        ([], r"peft_type LORA; adapter_config.json says \[\]"),
        (LORA | {"r": 0}, "rank 1 to 512; adapter_config.json says 0"),
        (LORA | {"r": None}, "rank 1 to 512; adapter_config.json says None"),
        (LORA | {"rank_pattern": {"q_proj": 1024}}, "rank 1 to 512; adapter_config.json says 1024"),
        ("{", "adapter_config.json can be read"),
    ],
)
def test_what_is_no_lora_that_vllm_takes_is_refused(tmp_path: Path, config: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=f"adapter: found .*{said}"):
        read_adapter(written(tmp_path, config))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is none"):
        read_adapter(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"with adapter_config\.json"):
        read_adapter(str(tmp_path))
    with pytest.raises(ConfigError, match=r"with adapter_model\.safetensors") as caught:
        read_adapter(written(tmp_path, LORA, weights="adapter_model.bin"))
    assert "run code" in caught.value.hint


def models(adapter: str, provider: str = "vllm") -> dict[str, Any]:
    main = {"provider": provider, "model": "micro-target"}
    return {
        "task": {"name": "micro"},
        "models": {"main": main, "tuned": {"base": "main", "adapter": adapter}},
        "roles": {role: {"model": "tuned"} for role in ("generator", "reflector", "curator")},
    }


def test_a_run_with_a_bad_adapter_names_its_key_before_anything_is_loaded(tmp_path: Path) -> None:
    async def start() -> None:
        async with open_backends(settings_from(models(str(tmp_path)))):
            pytest.fail("there is no adapter")

    with pytest.raises(ConfigError, match=r"models\.tuned\.adapter: found '.*with adapter_config\.json"):
        asyncio.run(start())


def test_an_adapter_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="adapter: found '/a', not supported here"):
        create_backend(ModelSettings(provider="vllm", model="micro-target", base="main", adapter="/a"))


@pytest.mark.skipif(has_gpu(), reason="on a GPU the shares are those of its memory")
def test_a_base_and_its_adapters_are_one_engine(tmp_path: Path) -> None:
    assert memory_shares(settings_from(models(str(tmp_path)))) == {"main": 1.0}


def test_an_adapter_is_a_view_of_its_engine() -> None:
    engine = ScriptedBackend(lambda request: request.adapter if isinstance(request, LoraRequest) else "base")
    tier = LoraBackend(engine, "/a")
    request = Request((Message("user", "q"),), schema={"type": "object"})

    async def ask() -> None:
        plain, adapted = await engine.complete(request), await tier.complete(request)
        assert (plain.text, plain.model) == ("base", "scripted")
        assert (adapted.text, adapted.model) == ("/a", "scripted+/a")
        await tier.close()

    asyncio.run(ask())
    assert not engine.closed
    assert [asked.digest for asked in engine.requests] == [request.digest] * 2
    assert (tier.info.model, tier.info.adapter, tier.info.name) == ("scripted", "/a", "scripted+/a")
    assert tier.count_tokens("two words") == 2
    settings = settings_from(
        {
            "task": {"name": "micro"},
            "models": {name: {"provider": "scripted", "model": name} for name in ("main", "a", "b")},
            "roles": {"reflector": {"model": "a"}, "curator": {"model": "b"}},
        }
    )
    bindings = bind(settings, {"main": engine, "a": tier, "b": LoraBackend(engine, "/b")})
    assert bindings.engines == (engine,), "an engine is started, metered and reported once"
