"""Starting and stopping what is served, on a Ray cluster that is joined or started."""

import logging
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

import ray
from ray import serve
from ray.actor import ActorHandle
from ray.exceptions import RayError
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview

from modelsat.errors import ArtifactError, MachineError, ZooError
from serve_app.builder import CONTROLLER_DEPLOYMENT, ROUTER_APPLICATION, run_router
from serve_app.candidates.engines import cluster_engine_of
from serve_app.config import ServeConfig
from serve_app.preflight import check_artifacts, check_port
from serve_app.registry.applications import failure_reason
from serve_app.throughput import single_machine_environment

_POLL_INTERVAL_S = 1.0  # asking more often takes CPU time from the engines that start
_CONTROLLER_TIMEOUT_S = 10
_PROXY_MARGIN_S = 30
# Longer than the idle time of common load balancers (60 s), so that they close first.
_KEEP_ALIVE_S = 90
# Environment variables may name a proxy, which cannot reach this machine's own addresses.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Report = Callable[[str], None]


def deploy(config: ServeConfig, report: Report = print) -> None:
    """Serve a zoo and return once every part of it is ready.

    Uses the cluster this process is connected to; else joins the one that ``RAY_ADDRESS`` or
    ``ray start`` names; else starts one that ends with this process.

    What fails or is interrupted leaves nothing behind, unless the endpoint ran before: then it
    stays: clients may use it, and Serve keeps its replicas until new ones are ready.

    Args:
        config: what to serve.
        report: receives one line of progress at a time.

    Raises:
        ZooError: the zoo is refused, or a candidate cannot start.
        ArtifactError: cards or router are missing, corrupt, or do not fit together, or the
            router cannot start.
        MachineError: the port is in use, or something was not ready in time.
    """
    started_at = time.monotonic()
    zoo = check_artifacts(config)
    if not (ray.is_initialized() or _serve_listens(config)):
        check_port(config.host, config.port)
    connect(config.cluster_cpus)
    if not _serve_is_running():
        check_port(config.host, config.port)
    num_gpus = ray.cluster_resources().get("GPU", 0)
    for candidate in zoo.local:
        cluster_engine_of(candidate).check_hardware(num_gpus)
    ran_before = ROUTER_APPLICATION in serve.status().applications
    remote = len(zoo.candidates) - len(zoo.local)
    report(f"starting {len(zoo.local)} candidates and the router; {remote} answer elsewhere")
    try:
        _deploy_applications(config, started_at, report)
    except BaseException:
        if ran_before:
            report(
                "the endpoint that ran before is left running; serve its own configuration again "
                "to take back what this one changed"
            )
        else:
            report("shutting down")
            shutdown()
        raise


def shutdown() -> None:
    """Stop every application that :func:`deploy` started; others on the cluster keep running.

    Stops Serve itself if nothing else runs on it. Does not stop the cluster.
    """
    if not ray.is_initialized() or not _serve_is_running():
        return
    names = list(serve.status().applications)
    own = [n for n in names if n == ROUTER_APPLICATION or n.startswith("candidate-")]
    if set(own) == set(names):
        serve.shutdown()
        return
    for name in own:
        serve.delete(name)


def connect(cluster_cpus: int) -> bool:
    """Connect to the cluster that ``RAY_ADDRESS`` or ``ray start`` names, or start one.

    Args:
        cluster_cpus: logical CPUs of a cluster that is started; never fewer than cores.

    Returns:
        Whether there was a cluster before, which stays when this process ends.

    Raises:
        MachineError: the named cluster cannot be reached.
    """
    if ray.is_initialized():
        return True
    for name, value in {"RAY_USAGE_STATS_ENABLED": "0", **single_machine_environment()}.items():
        os.environ.setdefault(name, value)  # no effect on a cluster that runs already
    num_cpus = max(cluster_cpus, os.cpu_count() or 1)
    quiet = {"log_to_driver": False, "logging_level": logging.WARNING}
    try:
        try:
            ray.init(num_cpus=num_cpus, include_dashboard=False, **quiet)
        except ValueError:  # Ray's refusal of num_cpus: there is a cluster to join
            ray.init(**quiet)
            return True
    except ConnectionError as error:
        raise MachineError(
            f"the Ray cluster cannot be reached: {' '.join(str(error).split())}; correct or "
            "unset RAY_ADDRESS, or start a cluster with `ray start --head`"
        ) from None
    return False


def raise_on_signals() -> None:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt.

    A process started in the background inherits an ignored SIGINT, and ``ray.init`` installs a
    SIGTERM handler of its own: call this again after it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _serve_listens(config: ServeConfig) -> bool:
    """Whether the port is in use by a Ray Serve, which may belong to the cluster to join."""
    try:
        with _DIRECT.open(_origin(config) + "/-/healthz", timeout=5) as answer:
            return bool(answer.read() == b"success")
    except (OSError, HTTPException):
        return False


def _serve_is_running() -> bool:
    return bool(serve.status().proxies)


def _deploy_applications(config: ServeConfig, started_at: float, report: Report) -> None:
    serve.start(
        http_options={
            "host": config.host,
            "port": config.port,
            # The endpoint's own, OpenAI-shaped answer comes first.
            "request_timeout_s": config.request_timeout_s + _PROXY_MARGIN_S,
            "keep_alive_timeout_s": _KEEP_ALIVE_S,
        },
        logging_config={"enable_access_log": False},
    )
    run_router(config)
    limit = _StartLimit(started_at, config.startup_timeout_s)
    _wait_for_router(limit)
    report(f"router ready after {limit.elapsed_s:.1f} s")
    _wait_for_candidates(limit, report)
    _check_answers(config)


@dataclass(frozen=True)
class _StartLimit:
    """By when everything must be ready."""

    started_at: float
    timeout_s: float

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started_at

    def pause(self, waiting: Iterable[str]) -> None:
        """Wait a little; raises MachineError when there is no time left."""
        if self.elapsed_s > self.timeout_s:
            raise MachineError(
                f"not ready after {self.timeout_s:g} s: {', '.join(waiting)}; give the "
                "cluster more CPUs, GPUs or memory, or raise startup_timeout_s"
            )
        time.sleep(_POLL_INTERVAL_S)


def _wait_for_router(limit: _StartLimit) -> None:
    while True:
        application = serve.status().applications.get(ROUTER_APPLICATION)
        if application is not None and application.status == ApplicationStatus.RUNNING:
            return
        if application is not None and application.status == ApplicationStatus.DEPLOY_FAILED:
            raise ArtifactError(f"router cannot start: {failure_reason(application)}")
        limit.pause(["router"])


class _ZooReader:
    """Queries the zoo controller from a process with a permanent event loop.

    If Serve is configured to start no threads (`serve_app.throughput`), a handle works only in the
    event loop of its first use; the deploying process has no permanent loop.
    """

    async def describe(self) -> dict[str, Any]:
        """Return the controller's description of the zoo."""
        handle = serve.get_deployment_handle(CONTROLLER_DEPLOYMENT, app_name=ROUTER_APPLICATION)
        described: dict[str, Any] = await handle.describe.remote()
        return described


def _wait_for_candidates(limit: _StartLimit, report: Report) -> None:
    """Wait for the engines of the zoo as the controller has it: it may continue an earlier one."""
    reader = ray.remote(num_cpus=0)(_ZooReader).remote()
    ready: set[str] = set()
    try:
        while waiting := _not_ready(_describe_zoo(reader, limit), ready, limit, report):
            limit.pause(f"candidate {name}" for name in waiting)
    finally:
        ray.kill(reader)


def _not_ready(
    zoo: dict[str, Any], ready: set[str], limit: _StartLimit, report: Report
) -> list[str]:
    """Local candidates that do not run yet; adds those that do to ``ready``."""
    local = [entry for entry in zoo["candidates"] if entry["application"]]
    applications = serve.status().applications
    for entry in local:
        if entry["problem"]:
            raise ZooError(entry["problem"])
        application = applications.get(entry["application"])
        if application is None or entry["name"] in ready:
            continue
        if _runs(application, entry["running_replicas"]):
            ready.add(entry["name"])
            report(f"candidate {entry['name']} ready after {limit.elapsed_s:.1f} s")
    return [entry["name"] for entry in local if entry["name"] not in ready]


def _runs(application: ApplicationStatusOverview, num_counted: int | None) -> bool:
    """Whether it runs and the zoo controller knows, without which no request is sent to it.

    One that scales to zero may run without a replica.
    """
    deployments = application.deployments.values()
    has_replicas = any(deployment.replica_states.get("RUNNING") for deployment in deployments)
    is_known = bool(num_counted) or not has_replicas
    return application.status == ApplicationStatus.RUNNING and is_known


def _describe_zoo(reader: ActorHandle, limit: _StartLimit) -> dict[str, Any]:
    while True:
        try:
            return dict(ray.get(reader.describe.remote(), timeout=_CONTROLLER_TIMEOUT_S))
        except RayError:
            limit.pause(["zoo controller"])


def _origin(config: ServeConfig) -> str:
    return config.url.removesuffix("/v1")


def _check_answers(config: ServeConfig) -> None:
    """A Serve that ran before keeps its own port; say so rather than print a dead URL."""
    health = _origin(config) + "/health"
    try:
        with _DIRECT.open(health, timeout=30) as answer:
            answer.read()
    except OSError as error:
        raise MachineError(
            f"{health} does not answer: {error}; if Serve runs on this cluster already, give "
            "its port with --set port=PORT, or stop it with `serve shutdown`"
        ) from None
