"""An engine in another process of this machine: what both sides say, the side that asks, and the side that answers."""

from ace.inference.remote.client import RemoteBackend

__all__ = ["RemoteBackend"]
