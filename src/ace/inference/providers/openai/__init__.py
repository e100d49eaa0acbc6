"""Any OpenAI-compatible endpoint: `vllm serve`, SGLang, llama.cpp, Ollama, hosted ones."""

from ace.inference.providers.openai.endpoint import OpenAIBackend
from ace.inference.providers.openai.endpoint_pool import EndpointPool, create

__all__ = ["EndpointPool", "OpenAIBackend", "create"]
