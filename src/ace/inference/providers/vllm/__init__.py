"""vLLM in this process, on a GPU or a CPU. vllm itself is imported when the first engine starts."""

from ace.inference.providers.vllm.vllm_backend import VllmBackend, create

__all__ = ["VllmBackend", "create"]
