"""A pool of vLLM engines on a Ray cluster: the only package that imports ray."""

from ace.inference.providers.ray.engine_pool import EnginePool, create

__all__ = ["EnginePool", "create"]
