"""vLLM in this process, on a GPU or a CPU: the first-class provider."""

from ace.inference.vllm.backend import VllmBackend, create

__all__ = ["VllmBackend", "create"]
