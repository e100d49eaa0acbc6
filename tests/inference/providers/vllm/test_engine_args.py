"""Settings to engine arguments, and vLLM's words to our errors: everything that needs no engine."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ace.config import ModelSettings
from ace.errors import ConfigError, ModelNotFoundError, ProviderMissingError, ProviderStartError
from ace.inference.model_files.hub import local_folder
from ace.inference.model_files.lora_adapter import Adapter
from ace.inference.model_files.model_folder import check_folder, context_limit
from ace.inference.precision import cpu_precision
from ace.inference.providers.vllm.engine_args import (
    check_keys,
    engine_arguments,
    kv_cache_bytes,
    warn_of_remote_code,
    whole_prompts,
)
from ace.inference.providers.vllm.engine_environment import prepare_environment, threads_for
from ace.inference.providers.vllm.vllm_errors import starting, words


@dataclasses.dataclass
class EngineArgs:
    """Some of vLLM's own."""

    model: str = ""
    max_num_seqs: int = 0
    enforce_eager: bool = False
    tensor_parallel_size: int = 1
    load_format: str = "auto"
    max_loras: int = 1
    max_lora_rank: int = 16
    structured_outputs_config: Any = None


def arguments(*, cpu: bool = True, **values: Any) -> dict[str, Any]:
    return engine_arguments(ModelSettings(model="/m", **values), "/m", EngineArgs, cpu=cpu)


def test_defaults_on_a_cpu() -> None:
    chosen = arguments()
    assert chosen["dtype"] == cpu_precision().dtype
    assert chosen["enforce_eager"] is True
    assert chosen["block_size"] == 32
    assert chosen["load_format"] == "safetensors"
    assert chosen["structured_outputs_config"] == {"backend": "guidance", "disable_any_whitespace": True}


def test_defaults_on_a_gpu_leave_compiling_and_types_to_vllm() -> None:
    chosen = arguments(cpu=False)
    assert chosen["gpu_memory_utilization"] == 0.9
    assert chosen["dtype"] == "auto"
    assert chosen["enable_prefix_caching"] is True
    assert not {"enforce_eager", "block_size", "max_num_seqs"} & set(chosen)


def test_on_a_cpu_prompts_are_computed_whole() -> None:
    assert whole_prompts({"max_model_len": 8192}) == {
        "max_model_len": 8192,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": 8192,
    }
    assert whole_prompts({"max_model_len": 512})["max_num_batched_tokens"] == 4096
    given = {"max_model_len": 8192, "max_num_batched_tokens": 2048}
    assert whole_prompts(given) == given


def test_engine_args_win() -> None:
    assert arguments(engine_args={"enforce_eager": False, "max_num_seqs": 7})["max_num_seqs"] == 7


def test_the_grammar_of_answers_cannot_be_changed() -> None:
    with pytest.raises(ConfigError, match=r"engine_args\.structured_outputs_config: found .*guided by llguidance"):
        arguments(engine_args={"structured_outputs_config": {"backend": "xgrammar"}})


def test_adapters_decide_how_many_and_how_large_they_may_be() -> None:
    def adapted(*ranks: int, **engine_args: Any) -> dict[str, Any]:
        settings = ModelSettings(model="/m", engine_args=engine_args)
        adapters = [Adapter(f"/{rank}", rank) for rank in ranks]
        return engine_arguments(settings, "/m", EngineArgs, cpu=False, adapters=adapters)

    assert not {"enable_lora", "max_loras", "max_lora_rank"} & set(adapted())
    chosen = adapted(4, 17)
    assert (chosen["enable_lora"], chosen["max_loras"], chosen["max_lora_rank"]) == (True, 2, 32)
    assert adapted(1)["max_lora_rank"] == 8
    assert adapted(4, 17, max_loras=1)["max_loras"] == 1, "less memory, and adapters that take turns"
    with pytest.raises(ConfigError, match=r"engine_args\.max_lora_rank: found 8, .*follows from the adapters"):
        adapted(4, max_lora_rank=8)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("max_num_seq", "max_num_seqs"), ("tensor-parallel-sizes", "tensor_parallel_size"), ("zzz", None)],
)
def test_unknown_engine_args_are_refused_with_the_nearest(key: str, nearest: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        arguments(engine_args={key: 1})
    assert caught.value.facts["key"] == f"engine_args.{key}"
    assert caught.value.facts["nearest"] == (nearest and f"engine_args.{nearest}")


def test_keys_with_a_setting_of_their_own_are_refused() -> None:
    with pytest.raises(ConfigError, match="'trust_remote_code'"):
        check_keys({"trust_remote_code": True}, ["trust_remote_code"])


def test_load_formats_that_can_carry_code_are_refused() -> None:
    with pytest.raises(ConfigError, match="safetensors"):
        arguments(engine_args={"load_format": "pt"})


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    settings = ModelSettings(model=str(tmp_path))
    with pytest.raises(ModelNotFoundError, match=r"config\.json"):
        check_folder(str(tmp_path), settings)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelNotFoundError, match="safetensors"):
        check_folder(str(tmp_path), settings)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelNotFoundError, match=r"no tokenizer in .*tokenizer\.json"):
        check_folder(str(tmp_path), settings)
    check_folder(str(tmp_path), ModelSettings(model="m", engine_args={"tokenizer": "elsewhere"}))
    (tmp_path / "tokenizer.json").touch()
    check_folder(str(tmp_path), settings)
    (tmp_path / "model.safetensors").unlink()
    check_folder(str(tmp_path), ModelSettings(model="m", engine_args={"load_format": "dummy"}))
    check_folder("some/hub-id", settings)


@pytest.mark.parametrize("name", ["./x/model-q4.gguf", "/m/Model.GGUF", "Qwen/Qwen2.5-0.5B-GGUF", "a/b-GGUF:Q4_K_M"])
def test_a_gguf_model_is_refused_with_what_can_serve_it(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="is a GGUF model") as caught:
        local_folder(ModelSettings(model=name))
    assert "llama-server" in caught.value.hint and "provider: openai" in caught.value.hint


def test_a_folder_of_gguf_files_is_refused_as_well(tmp_path: Path) -> None:
    (tmp_path / "model-q4.gguf").touch()
    with pytest.raises(ModelNotFoundError, match=r"no weights .* but GGUF files") as caught:
        check_folder(str(tmp_path), ModelSettings(model=str(tmp_path)))
    assert "llama-server" in caught.value.hint
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelNotFoundError, match=r"config\.json"):
        check_folder(str(tmp_path), ModelSettings(model=str(tmp_path)))


def test_the_context_is_known_before_the_engine(tmp_path: Path) -> None:
    plain, asked = ModelSettings(model="m"), ModelSettings(model="m", max_model_len=512)
    assert context_limit(str(tmp_path), plain) is None
    for config, limit in (({"max_position_embeddings": 1024}, 1024), ({"max_position_embeddings": 32768}, 4096)):
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert (context_limit(str(tmp_path), plain), context_limit(str(tmp_path), asked)) == (limit, 512)


@pytest.mark.parametrize("name", ["ace-vllm/no-such-model-8f3a", "no-such-model-8f3a", "not a name"])
def test_a_hub_id_that_leads_nowhere_is_refused_with_or_without_a_network(name: str) -> None:
    pytest.importorskip("huggingface_hub")
    with pytest.raises(ModelNotFoundError, match="no model") as caught:
        local_folder(ModelSettings(model=name))
    assert caught.value.hint


def test_remote_code_is_announced() -> None:
    warn_of_remote_code(ModelSettings(model="m"))
    with pytest.warns(UserWarning, match="trust_remote_code is on"):
        warn_of_remote_code(ModelSettings(model="m", trust_remote_code=True))


def test_kv_cache_follows_the_model_and_the_memory() -> None:
    model = SimpleNamespace(
        get_num_kv_heads=lambda parallel: 2,
        get_head_size=lambda: 64,
        get_num_layers=lambda parallel: 4,
        dtype=SimpleNamespace(itemsize=2),
        max_model_len=4096,
    )
    config = SimpleNamespace(
        model_config=model,
        parallel_config=None,
        scheduler_config=SimpleNamespace(max_num_seqs=128),
        cache_config=SimpleNamespace(block_size=32),
    )
    per_token = 2 * 2 * 64 * 4 * 2
    assert kv_cache_bytes(config, 1 << 40) == per_token * (4 * 4096 + 128 * 256)
    assert kv_cache_bytes(config, 200 << 20) == (200 << 20) * 2 // 5
    assert kv_cache_bytes(config, 200 << 20, 0.5) == (200 << 20) // 5
    assert kv_cache_bytes(config, 0) == per_token * (4096 + 64), "one whole prompt must fit"


def test_the_environment_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ, OMP_NUM_THREADS="7"))
    os.environ.pop("OMP_WAIT_POLICY", None)
    prepare_environment(cpu=True, threads=1)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"


def test_a_small_model_takes_one_thread(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"0" * 1000)
    assert threads_for(str(tmp_path)) == 1
    assert threads_for("hub/id") >= 1


def test_start_errors_say_what_the_engine_said() -> None:
    with pytest.raises(ProviderStartError, match="is less than requested") as caught, starting("m"):
        raise ValueError("Available memory on node 0\n is less than requested memory for kv")
    assert "kv_cache_memory_bytes" in caught.value.hint
    with pytest.raises(ModelNotFoundError, match="no model 'a/b'"), starting("a/b"):
        raise OSError("a/b is not a local folder and is not a valid model identifier listed on ...")
    with pytest.raises(ProviderMissingError, match="pip install"), starting("m"):
        raise ModuleNotFoundError("No module named 'vllm'", name="vllm")
    with pytest.raises(ConfigError), starting("m"):
        raise ConfigError("as it is")


def test_words_are_one_short_line() -> None:
    said = words(RuntimeError("first\n  second " + "x" * 1000))
    assert said.startswith("RuntimeError: first second x")
    assert len(said) < 450
    assert words(ValueError()) == "no reason given"
