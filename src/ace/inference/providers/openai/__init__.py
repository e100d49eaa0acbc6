"""Any OpenAI-compatible endpoint: `vllm serve`, SGLang, llama.cpp, Ollama, hosted ones."""

from ace.inference.providers.openai.endpoint import OpenAIBackend, create

__all__ = ["OpenAIBackend", "create"]
