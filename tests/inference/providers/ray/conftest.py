"""A Ray cluster for the tests of this folder: a head without cores, and two nodes with two each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


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

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        nodes.add_node(num_cpus=2)
    yield nodes
    nodes.shutdown()
