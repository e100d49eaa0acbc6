"""Engines that outlive a run: `ace serve-engine` holds them, runs with the same settings find them by a Unix socket.

The server's side is in `ace.inference.serving.warm.warm_server`, which needs a system with Unix sockets and file locks.
"""

from ace.inference.serving.warm.discovery import WarmEngine, find_warm

__all__ = ["WarmEngine", "find_warm"]
