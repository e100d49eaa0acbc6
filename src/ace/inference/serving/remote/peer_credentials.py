"""Who is at the other end of a Unix socket, as the kernel knows it."""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

_CREDENTIALS = struct.Struct("3i")


class Peer(NamedTuple):
    """The process at the other end of a socket, as the kernel knows it."""

    pid: int
    user: int


def peer_of(connection: socket.socket) -> Peer | None:
    """Who is at the other end; None where the system does not say, and the folder alone has to protect it."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    pid, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, user)


def is_ours(connection: socket.socket) -> bool:
    """Return True if the other end is a process of this user."""
    peer = peer_of(connection)
    return peer is None or peer.user == os.getuid()
