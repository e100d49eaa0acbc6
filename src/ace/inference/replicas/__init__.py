"""Several engines of one model side by side, each in a process of its own: data parallelism for an engine that one core
or one GPU is enough for."""

from ace.inference.replicas.routing import ReplicatedBackend
from ace.inference.replicas.starting import start_replicas

__all__ = ["ReplicatedBackend", "start_replicas"]
