"""Several engines of one model side by side, each in a process of its own.

Data parallelism for an engine that one core or one GPU is enough for.
"""

from ace.inference.serving.replicas.replica_startup import start_replicas
from ace.inference.serving.replicas.replicated_backend import ReplicatedBackend

__all__ = ["ReplicatedBackend", "start_replicas"]
