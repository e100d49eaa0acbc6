"""Digests that name their algorithm, seeds derived from other seeds, and fingerprints of folders."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def digest(value: Any) -> str:
    """`sha256:` and the hash of the canonical JSON of `value`."""
    body = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return "sha256:" + hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()


def derive_seed(seed: int, *parts: str) -> int:
    """Derive a 31-bit seed for one purpose, independent of the order of the work."""
    digest = hashlib.sha256("\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def folder_fingerprint(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of each file in `folder`, in order; empty where it is no folder."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
