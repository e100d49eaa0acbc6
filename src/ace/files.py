"""Files that are replaced whole: a reader sees the old content or the new one, also after a power loss."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ace.errors import StoreError


def replace_file(path: str | Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path`: temporary file beside it, fsync, rename, fsync of the folder.

    Makes missing folders; keeps an existing file's permissions; follows a link to the file it names. Raises StoreError.
    """
    target = Path(os.path.realpath(path))
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, data)
        sync_folder(target.parent)
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
        except BaseException:
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
