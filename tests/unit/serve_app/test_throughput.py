"""Every way to start Ray gives Serve the same environment."""

import os
import subprocess
import sysconfig
from pathlib import Path

import yaml

from serve_app.throughput import single_machine_environment

ROOT = Path(__file__).parents[3]
# Free ports and short drains are for a local start; a cluster keeps Ray's values.
OF_ONE_MACHINE = {
    "RAY_worker_niceness",
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
}


def test_cluster_and_manifest_set_the_same_variables_as_a_local_start():
    expected = set(single_machine_environment()) - OF_ONE_MACHINE
    assert "RAY_SERVE_HAPROXY_BINARY_PATH" in expected
    cluster = (ROOT / "cluster.yaml").read_text()
    service = yaml.safe_load((ROOT / "serve_app/manifests/rayservice.yaml").read_text())
    head = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
    manifest = {variable["name"] for variable in head["containers"][0]["env"]}
    assert expected <= manifest
    assert all(f"{name}=" in cluster for name in expected)


def test_haproxy_and_the_proxy_behind_it_have_ports_of_their_own():
    environment = single_machine_environment()
    ports = {name: int(port) for name, port in environment.items() if name.endswith("_PORT")}
    assert set(ports) == {name for name in OF_ONE_MACHINE if name.endswith("_PORT")}
    assert len(set(ports.values())) == len(ports)
    assert all(20_000 <= port < 29_000 for port in ports.values())  # none is Ray's default


def test_ray_starts_haproxy_by_the_named_executable():
    path = single_machine_environment()["RAY_SERVE_HAPROXY_BINARY_PATH"]
    assert Path(path).parent == Path(sysconfig.get_path("scripts"))
    environment = os.environ | {"RAY_SERVE_HAPROXY_BINARY_PATH": path}
    shown = subprocess.run(
        [path, "-v"], env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert shown.startswith("HAProxy version")
