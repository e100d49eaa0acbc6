"""One number of threads for all compared engines."""

from __future__ import annotations

import os

from ace._util.machine import available_cores
from ace.inference import model_path
from ace.inference.memory.gpus import visible_gpus
from ace.inference.provider_choice import has_gpu, on_cpu
from ace.inference.providers.vllm.engine_environment import SMALL_MODEL_BYTES, prepare_environment, threads_for


def threads_of(model: str, weight_bytes: int | None = None) -> int:
    """Threads that ace gives vLLM for this model, by the size of its weights; `weight_bytes` where there is no file."""
    if weight_bytes is not None and weight_bytes >= SMALL_MODEL_BYTES:
        return available_cores()
    return 1 if weight_bytes is not None else threads_for(model_path(model))


def parallel_speedup(engines: int, threads: int) -> float:
    """Upper bound of the speed-up of several engines over one with `threads` threads.

    On a CPU they divide the threads until each has one, on GPUs each has one of its own until there are no more.
    """
    if on_cpu():
        return max(1.0, engines * max(1, threads // engines) / threads)
    return float(min(engines, max(1, len(visible_gpus()))))


def set_engine_threads(count: int) -> None:
    """Give every engine of this process `count` threads and the same waiting policy. Before torch is imported."""
    if not has_gpu():
        os.environ["OMP_NUM_THREADS"] = str(count)
    prepare_environment(cpu=not has_gpu(), threads=count)
