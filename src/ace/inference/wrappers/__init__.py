"""Backends that stand before another one: retries, restarts, lazy start, LoRA adapters."""
