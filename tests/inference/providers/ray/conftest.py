"""A Ray cluster for the tests of this folder: a head without cores, and two nodes with two each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_nodes import TwoHosts, network_namespace, two_hosts_of

TRIES = 4


@pytest.fixture(scope="session")
def ray_environment() -> Iterator[None]:
    """What the processes of a cluster need to find these tests' modules, and to leave nothing in the home folder."""
    helpers = Path(__file__).parents[3] / "helpers"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(helpers), *filter(None, sys.path)]))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        yield


@pytest.fixture(scope="session")
def cluster(ray_environment: None) -> Iterator[Any]:
    """`ray.cluster_utils.Cluster`: every node has a raylet of its own. One that a test kills, it has to replace."""
    from ray.cluster_utils import Cluster

    nodes = Cluster()
    add_node(nodes, num_cpus=0, include_dashboard=False)
    for _ in range(2):
        add_node(nodes, num_cpus=2)
    yield nodes
    nodes.shutdown()


def add_node(nodes: Any, **arguments: Any) -> Any:
    """Add a node, again where it is not up within Ray's own 30 seconds: the machine is busy."""
    for _ in range(TRIES - 1):
        try:
            return nodes.add_node(**arguments)
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    return nodes.add_node(**arguments)


@pytest.fixture
def two_hosts(ray_environment: None) -> Iterator[TwoHosts]:
    """A cluster of this host and one in a network namespace, each with one core of the resource `engine`."""
    with network_namespace() as namespace:
        if namespace is None:
            pytest.skip("network namespaces need `ip` and root")
        with two_hosts_of(namespace) as hosts:
            yield hosts
