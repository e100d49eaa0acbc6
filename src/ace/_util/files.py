"""Atomic replacement of files: a reader sees the old content or the new one, also after a power loss."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ace.errors import StoreError


def replace_file(path: str | Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path`: temporary file beside it, fsync, rename, fsync of the folder.

    Makes missing folders; keeps an existing file's permissions; follows a link to the file it names. Raises StoreError.
    """
    target = replaceable(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    with _store_errors(target):
        _replace(target, data)
        sync_folder(target.parent)


def replaceable(path: str | Path) -> Path:
    """The file that `path` leads to, after its folder was made and found writable. Raises StoreError."""
    target = Path(os.path.realpath(path))
    with _store_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return target


@contextmanager
def _store_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {target}: {error.strerror or error}",
            hint=f"make {target.parent} writable, or name another path",
            path=str(target),
        ) from error


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    with temporary.open("xb") as file:
        try:
            if target.exists():
                temporary.chmod(target.stat().st_mode & 0o7777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:  # Ctrl-C too: no temporary file is left behind
            temporary.unlink(missing_ok=True)
            raise


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Where folders cannot be synced (Windows) this does nothing."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
