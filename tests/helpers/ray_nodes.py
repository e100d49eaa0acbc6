"""Nodes of a Ray cluster as `ray start` makes them, with all their processes ended afterwards."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

import psutil


@contextlib.contextmanager
def ray_head(*arguments: str, ports: Sequence[int], host: str = "127.0.0.1") -> Iterator[None]:
    """A head node that listens on `ports`. It has a short folder of its own: paths of sockets are limited."""
    with (
        tempfile.TemporaryDirectory(prefix="ace", dir="/tmp") as folder,
        ray_start("--head", "--include-dashboard=false", f"--temp-dir={folder}", *arguments) as process,
    ):
        for port in ports:
            while not _listens(host, port):
                assert process.poll() is None, "the head node ended"
                time.sleep(0.2)
        yield


@contextlib.contextmanager
def ray_start(*arguments: str, inside: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """`ray start` with `arguments`, as a command of `inside` where there is one."""
    command = [*inside, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children: list[psutil.Process] = []
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()


def _listens(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False
