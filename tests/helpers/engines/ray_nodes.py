"""Nodes of a Ray cluster as `ray start` makes them, with all their processes ended afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

HOST, NODE, PORT, CABLE = "10.199.0.1", "10.199.0.2", 6399, "acehost"
"""The two ends of the cable between two hosts, the port of the first one's cluster, and its network device."""


@dataclass(frozen=True, slots=True)
class TwoHosts:
    """A cluster at `address` whose head and one node have a cable between them."""

    address: str

    def cut(self, seconds: float) -> None:
        """Take the cable out for so long."""
        subprocess.run(["ip", "link", "set", CABLE, "down"], check=True)
        time.sleep(seconds)
        subprocess.run(["ip", "link", "set", CABLE, "up"], check=True)


@contextlib.contextmanager
def network_namespace() -> Iterator[str | None]:
    """A network namespace with a cable to this host; None where there can be none."""
    name = f"ace-{os.getpid()}"
    if shutil.which("ip") is None or os.geteuid() != 0 or _run("ip", "netns", "add", name).returncode:
        yield None
        return
    inside = ("ip", "netns", "exec", name)
    try:
        for command in (
            ("ip", "link", "add", CABLE, "type", "veth", "peer", "name", "acenode", "netns", name),
            ("ip", "address", "add", f"{HOST}/24", "dev", CABLE),
            ("ip", "link", "set", CABLE, "up"),
            (*inside, "ip", "address", "add", f"{NODE}/24", "dev", "acenode"),
            (*inside, "ip", "link", "set", "acenode", "up"),
            (*inside, "ip", "link", "set", "lo", "up"),
        ):
            _run(*command).check_returncode()
        yield name
    finally:
        _run("ip", "link", "delete", CABLE)
        _run("ip", "netns", "delete", name)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True)


@contextlib.contextmanager
def two_hosts_of(namespace: str) -> Iterator[TwoHosts]:
    """A head on this host and a node in the namespace, each with one core of the resource `engine`."""
    resources = ("--num-cpus=2", "--resources", '{"engine": 1}')
    inside = ("ip", "netns", "exec", namespace)
    head = ray_head(*resources, f"--node-ip-address={HOST}", f"--port={PORT}")
    with head, ray_start(*resources, f"--address={HOST}:{PORT}", f"--node-ip-address={NODE}", inside=inside) as node:
        yield TwoHosts(f"{HOST}:{PORT}")
        assert node.poll() is None, "the node ended"


@contextlib.contextmanager
def ray_head(*arguments: str) -> Iterator[None]:
    """A head node, once it is up. It has a short folder of its own: paths of sockets are limited."""
    with (
        tempfile.TemporaryDirectory(prefix="ace", dir="/tmp") as folder,
        ray_start("--head", "--include-dashboard=false", f"--temp-dir={folder}", *arguments),
    ):
        yield


@contextlib.contextmanager
def ray_start(*arguments: str, inside: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """`ray start` with `arguments`, once its node is up; as a command of `inside` where there is one."""
    command = [*inside, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen([*command, *arguments], stdout=log, stderr=log)
        children: list[psutil.Process] = []
        try:
            while b"Ray runtime started" not in (words := Path(log.name).read_bytes()):
                assert process.poll() is None, f"the node ended: {words.decode(errors='replace')[-500:]}"
                time.sleep(0.2)
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
