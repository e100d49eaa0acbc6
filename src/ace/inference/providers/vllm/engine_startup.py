"""Starting an engine. Runs on the stepping thread, and is the only place that imports vllm's engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from ace._util.gc_control import freeze_heap
from ace._util.torch_addons import describe_hidden_addons, hide_unusable_addons
from ace.config import ModelSettings
from ace.errors import ProviderStartError
from ace.inference.model_files.hub import local_folder
from ace.inference.model_files.lora_adapter import Adapter
from ace.inference.model_files.model_folder import DEFAULT_MAX_MODEL_LEN, check_folder
from ace.inference.model_files.model_size import loaded_bytes
from ace.inference.precision import cpu_precision
from ace.inference.provider_choice import on_cpu
from ace.inference.providers.vllm.engine_args import (
    check_compiler,
    engine_arguments,
    kv_bytes_per_token,
    kv_cache_bytes,
    whole_prompts,
)
from ace.inference.providers.vllm.engine_environment import (
    limit_threads,
    prepare_environment,
    quiet,
    shield_llvmlite,
    threads_for,
)
from ace.inference.providers.vllm.speculation import counted, resolve, speculative_arguments
from ace.inference.providers.vllm.vllm_errors import starting, words


@dataclass(frozen=True, slots=True)
class Started:
    """A live engine, a tokenizer of our own (vLLM's is used by its detokenizer), and what it turned out to be."""

    engine: Any
    tokenizer: Any
    max_model_len: int
    device: str
    version: str
    memory_bytes: int
    adapters: Mapping[str, Any]
    """vLLM's `LoRARequest` of each adapter that is loaded, by its folder."""
    drafts: bool
    """Speculative decoding is on."""
    remark: str = ""
    """What was decided on the way, for people."""


def start_engine(settings: ModelSettings, share: float = 1.0, adapters: Sequence[Adapter] = ()) -> Started:
    """Import vllm and bring an engine up, with its `adapters` loaded. Raises errors of ace alone."""
    with starting(settings.model):
        path = local_folder(settings)
    check_folder(path, settings)
    check_compiler(settings)
    resolved = resolve(settings, path)
    with starting(settings.model):
        speculative = speculative_arguments(settings, path, resolved.speculative)
    prepare_environment(cpu=on_cpu(), threads=threads_for(path))
    with quiet(), starting(settings.model):
        hide_unusable_addons()
        remark = "; ".join(filter(None, (resolved.reason, describe_hidden_addons())))
        return _start(settings, path, share, adapters, speculative, remark)


def _start(
    settings: ModelSettings,
    path: str,
    share: float,
    adapters: Sequence[Adapter],
    speculative: dict[str, Any],
    remark: str,
) -> Started:
    vllm: Any = import_module("vllm.version")
    arg_utils: Any = import_module("vllm.engine.arg_utils")
    platform: Any = import_module("vllm.platforms").current_platform
    context: Any = import_module("vllm.usage.usage_lib").UsageContext.LLM_CLASS
    cpu = bool(platform.is_cpu())
    if cpu:
        limit_threads()
    shield_llvmlite()
    arguments = engine_arguments(settings, path, arg_utils.EngineArgs, cpu=cpu, share=share, adapters=adapters)
    arguments |= speculative
    supported = [field.name for field in fields(arg_utils.EngineArgs)]
    arguments = counted(arguments, supported)
    if arguments["max_model_len"] is None:
        arguments["max_model_len"] = _default_max_model_len(arguments)
    if cpu:
        arguments = whole_prompts(arguments)
    config: Any = arg_utils.EngineArgs(**arguments).create_engine_config(context)
    if cpu and config.cache_config.kv_cache_memory_bytes is None:
        available = import_module("psutil").virtual_memory().available
        config.cache_config.kv_cache_memory_bytes = kv_cache_bytes(config, available, share)
    llm_engine: Any = import_module("vllm.v1.engine.llm_engine")
    executor: Any = import_module("vllm.v1.executor").Executor.get_class(config)
    freeze_heap()
    engine: Any = llm_engine.LLMEngine(
        vllm_config=config,
        executor_class=executor,
        log_stats=not arguments.get("disable_log_stats", False),
        usage_context=context,
        multiprocess_mode=False,
    )
    if "disable_log_stats" not in settings.engine_args:
        # Its Prometheus counters, written at every step, are read by nobody here. A request's own times stay.
        engine.logger_manager = None
    model = config.model_config
    device = "cpu" if cpu else str(platform.get_device_name())
    memory = _memory_bytes(config, path, settings)
    try:
        tokenizer = import_module("transformers").AutoTokenizer.from_pretrained(
            model.tokenizer, revision=model.tokenizer_revision, trust_remote_code=settings.trust_remote_code
        )
        loaded = _load(engine, adapters)
    except BaseException:  # an interrupt too: what nobody holds is stopped as garbage, and the other engines with it
        with suppress(Exception):
            shut_down(engine, last=False)
        raise
    if cpu:
        remark = "; ".join(filter(None, (remark, str(cpu_precision(settings.dtype)))))
    if loaded:
        remark = "; ".join(filter(None, (remark, f"adapters: {', '.join(loaded)}")))
    drafts = config.speculative_config is not None
    return Started(
        engine, tokenizer, int(model.max_model_len), device, str(vllm.__version__), memory, loaded, drafts, remark
    )


def shut_down(engine: Any, *, last: bool) -> None:
    """Stop `engine`. Unless it is the `last` of this process, torch.distributed stays up, which the others need.

    vLLM's own shutdown takes it down, also when an engine that nobody stopped is collected as garbage.
    """
    client = engine.engine_core
    core = getattr(client, "engine_core", None)
    if last or core is None:
        client.shutdown()
        return
    client._finalizer.detach()
    core.model_executor.shutdown()
    core.scheduler.shutdown()


def _load(engine: Any, adapters: Sequence[Adapter]) -> dict[str, Any]:
    """Load every adapter now: one that does not fit the model would otherwise be the engine's end, in some step."""
    loaded: dict[str, Any] = {}
    for number, adapter in enumerate(adapters, start=1):
        lora = import_module("vllm.lora.request").LoRARequest(adapter.folder, number, adapter.folder)
        try:
            engine.add_lora(lora)
        except Exception as error:
            raise ProviderStartError(f"vLLM could not load the adapter '{adapter.folder}': {words(error)}") from error
        loaded[adapter.folder] = lora
    return loaded


def _memory_bytes(config: Any, path: str, settings: ModelSettings) -> int:
    """Weights and KV cache, as they lie on each device."""
    cache, parallel = config.cache_config, config.parallel_config
    cache_bytes = (cache.num_gpu_blocks or 0) * (cache.block_size or 0) * kv_bytes_per_token(config)
    dummy = settings.engine_args.get("load_format") == "dummy"
    weights = loaded_bytes(Path(path), config.model_config.dtype.itemsize, dummy=dummy)
    return cache_bytes + weights // int(parallel.world_size)


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
