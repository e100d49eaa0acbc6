"""An engine in another process of this machine: what both sides say, the side that asks, and the side that answers."""

from ace.inference.serving.remote.remote_backend import RemoteBackend

__all__ = ["RemoteBackend"]
