"""What is shipped for clusters is read by the code of Ray that reads it there."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr as autoscaling_config,
)
from ray.dashboard.modules.job.cli import job_cli_group
from ray.dashboard.modules.job.common import JobSubmitRequest
from ray.runtime_env import RuntimeEnv

from train_jobs.chips import CHIPS
from train_jobs.config import ResourcesConfig
from train_jobs.job import scaling_config

ROOT = Path(__file__).parents[2]
JOBS = {
    "profiling.aptitude_test": ROOT / "profiling" / "manifests" / "rayjob.yaml",
    "train_jobs.train_router": ROOT / "train_jobs" / "manifests" / "rayjob.yaml",
}
SERVICE = ROOT / "serve_app" / "manifests" / "rayservice.yaml"
# Of KubeRay's RayJobSpec, ray.io/v1; Kubernetes drops others without a word.
JOB_FIELDS = {
    *("activeDeadlineSeconds", "backoffLimit", "clusterSelector", "entrypoint", "jobId"),
    *("entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "metadata"),
    *("rayClusterSpec", "runtimeEnvYAML", "shutdownAfterJobFinishes", "submissionMode"),
    *("submitterPodTemplate", "suspend", "ttlSecondsAfterFinished"),
}
CONFIGS = ROOT / "train_jobs" / "configs"
# What Ray finds on an instance, as Amazon describes it.
INSTANCES = {
    "m7i.2xlarge": {"CPU": 8},
    "g6.2xlarge": {"CPU": 8, "GPU": 1, "accelerator_type:L4": 1},
    "p5.4xlarge": {"CPU": 16, "GPU": 1, "accelerator_type:H100": 1},
}
STOP_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"


def manifest(path):
    return yaml.safe_load(path.read_text())


def clusters():
    specs = {name: manifest(path)["spec"]["rayClusterSpec"] for name, path in JOBS.items()}
    return specs | {"serve_app": manifest(SERVICE)["spec"]["rayClusterConfig"]}


def as_cluster(spec):
    """The resource that the operator makes of a job's or service's cluster."""
    return {"metadata": {"name": "model-sat", "namespace": "default"}, "spec": spec}


@pytest.mark.parametrize("module", JOBS)
def test_ray_accepts_the_job_request(module):
    document = manifest(JOBS[module])
    spec = document["spec"]
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", "RayJob")
    assert set(spec) <= JOB_FIELDS
    environment = RuntimeEnv(**yaml.safe_load(spec["runtimeEnvYAML"]))
    assert environment.env_vars()[STOP_WAIT] == "30"
    JobSubmitRequest(entrypoint=spec["entrypoint"], runtime_env=dict(environment))
    words = shlex.split(spec["entrypoint"])
    assert words[:4] == ["python", "-m", module, "--config"]
    assert importlib.util.find_spec(module) is not None
    with pytest.raises(TypeError, match="env_vars"):
        RuntimeEnv(env_vars={STOP_WAIT: 30})


@pytest.mark.parametrize("name", clusters())
def test_autoscaler_accepts_the_cluster(name):
    spec = clusters()[name]
    assert spec["enableInTreeAutoscaling"] is True
    config = autoscaling_config(as_cluster(spec))  # which holds it to ray-schema.json
    types = config["available_node_types"]
    head = types.pop(config["head_node_type"])
    gpus = [node["resources"].get("GPU", 0) for node in types.values()]
    assert "GPU" not in head["resources"]
    assert max(gpus) == 1
    assert all(node["max_workers"] > node["min_workers"] for node in types.values())
    if name in JOBS:
        assert head["resources"]["CPU"] == 0
        assert min(gpus) == 0  # work without a GPU has workers of its own
    spec["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["resources"] = {}
    with pytest.raises(ValueError, match="failed to detect `CPU`"):
        autoscaling_config(as_cluster(spec))


def test_non_root_user_can_read_the_mounted_secrets():
    spec = clusters()["serve_app"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        secrets = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
        assert secrets
        for secret in secrets:
            # Files are root's; Kubernetes' default mode is 0644.
            assert secret.get("defaultMode", 0o644) & 0o004 or "fsGroup" in pod["securityContext"]


def room_for(needed, nodes, at_most):
    """Workers that find room on so many nodes of each kind, ``at_most`` nodes in all."""
    each = sorted(
        (
            (min(int(node.get(name, 0) / amount) for name, amount in needed.items()), number)
            for node, number in nodes
        ),
        reverse=True,
    )
    workers = [number for number, most in each for _ in range(most)]
    return sum(workers[:at_most])


def kuberay_nodes():
    """Nodes of the training cluster on Kubernetes, and the most of each kind."""
    config = autoscaling_config(as_cluster(clusters()["train_jobs.train_router"]))
    types = config["available_node_types"].values()
    return [(node["resources"], node["max_workers"]) for node in types], config["max_workers"]


def instances():
    """The same of cluster.yaml."""
    config = manifest(ROOT / "cluster.yaml")
    types = config["available_node_types"].values()
    nodes = [
        (INSTANCES[node["node_config"]["InstanceType"]], node.get("max_workers", 0))
        for node in types
    ]
    return nodes, config["max_workers"]


@pytest.mark.parametrize("cluster", [kuberay_nodes, instances])
@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_trainings_fit_the_shipped_clusters(path, cluster):
    resources = ResourcesConfig.model_validate(manifest(path)["resources"])
    scaling = scaling_config(resources)
    needed = {
        name: amount / scaling.num_workers for name, amount in scaling.total_resources.items()
    }
    assert needed["CPU"] == resources.cpus_per_worker
    assert room_for(needed, *cluster()) >= scaling.num_workers


@pytest.mark.parametrize("name", JOBS)
def test_scaled_down_groups_declare_their_gpu(name):
    types = autoscaling_config(as_cluster(clusters()[name]))["available_node_types"].values()
    with_gpu = [node["resources"] for node in types if "GPU" in node["resources"]]
    kinds = [key.split(":")[1] for node in with_gpu for key in node if "accelerator_type:" in key]
    assert len(kinds) == len(with_gpu)
    assert set(kinds) <= set(CHIPS)


def test_workers_that_call_remote_candidates_have_their_keys():
    """Ray places their replicas wherever a CPU is free, and no group says what it is kept for."""
    cluster = clusters()["profiling.aptitude_test"]
    for group in cluster["workerGroupSpecs"]:
        container = group["template"]["spec"]["containers"][0]
        assert {"secretRef": {"name": "model-sat-providers"}} in container.get("envFrom", [])


def submissions():
    """Every `ray job submit` of the documents, with continued lines joined."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "cluster.yaml"]
    for path in documents:
        text = re.sub(r" *\\\n[# ]*", " ", path.read_text())
        for command in re.findall(r"ray job submit (--[^\n]*)", text):
            yield pytest.param(command, id=f"{path.name}: {command[:40]}")


@pytest.mark.parametrize("command", list(submissions()))
def test_ray_accepts_every_documented_submission(command):
    submit = job_cli_group.commands["submit"]
    options = submit.make_context("submit", shlex.split(command)).params
    environment = RuntimeEnv(**yaml.safe_load(options["runtime_env_json"]))
    assert environment.env_vars()[STOP_WAIT] == "30"
    assert options["entrypoint"][2] in JOBS
    with pytest.raises(click.NoSuchOption):
        submit.make_context("submit", ["--runtime-env-yaml", "x", "--", "python"])
