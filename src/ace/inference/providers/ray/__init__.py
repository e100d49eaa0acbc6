"""A pool of vLLM engines on a Ray cluster, and the connection to one. Importing it imports ray."""

from ace.inference.providers.ray.engine_pool import EnginePool, create
from ace.inference.providers.ray.ray_cluster import connected

__all__ = ["EnginePool", "connected", "create"]
