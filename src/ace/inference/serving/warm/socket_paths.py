"""Where the sockets of warm engines are: a folder that only its owner can enter, and never a port."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ace.errors import ProviderStartError


def runtime_folder() -> Path:
    """`ace` in the user's runtime folder (XDG_RUNTIME_DIR), or else a folder of the user's own for temporary files."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and Path(base).is_dir():
        return Path(base) / "ace"
    return Path(tempfile.gettempdir()) / f"ace-{os.getuid()}"


def is_private(folder: Path) -> bool:
    """Return True if `folder` is a real folder, ours, and closed to everybody else."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def private_folder() -> Path:
    """`runtime_folder`, made where it is missing. ProviderStartError where somebody else could enter it."""
    folder = runtime_folder()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ProviderStartError(f"cannot make {folder} for the sockets of warm engines: {error.strerror}") from error
    if not is_private(folder):
        raise ProviderStartError(
            f"{folder} is not a folder that only you can enter, so no engine can be found there safely",
            hint=f"remove it, or chmod 700 {folder}",
        )
    return folder


def socket_path(engine: str) -> Path:
    """The socket of the engine with this digest; a Unix socket's path may have about 100 characters."""
    return runtime_folder() / f"{engine.removeprefix('sha256:')[:16]}.sock"


def sockets() -> list[Path]:
    """All of them, also those that a killed server left behind."""
    folder = runtime_folder()
    return sorted(folder.glob("*.sock")) if is_private(folder) else []
