"""Backends around another backend: retries, restarts, lazy start, LoRA adapters."""
