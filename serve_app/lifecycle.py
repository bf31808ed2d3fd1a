"""Starting and stopping what is served, on a Ray cluster that is joined or started."""

import logging
import os
import re
import signal
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException

import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview

from modelsat.errors import ArtifactError, MachineError, ModelSatError, ZooError
from modelsat.zoo import Zoo
from serve_app.builder import ROUTER_APPLICATION, run_candidates, run_router
from serve_app.candidates.llm_config import check_hardware
from serve_app.config import ServeConfig
from serve_app.preflight import check_artifacts, check_port

_POLL_INTERVAL_S = 0.25
# Environment variables may name a proxy, which cannot reach this machine's own addresses.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Report = Callable[[str], None]


def deploy(config: ServeConfig, report: Report = print) -> None:
    """Serve a zoo and return once every part of it is ready.

    Uses the cluster this process is connected to; else joins the one that ``RAY_ADDRESS`` or
    ``ray start`` names; else starts one that ends with this process.

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
    for candidate in zoo.candidates:
        check_hardware(candidate, num_gpus)
    report(f"starting {len(zoo.candidates)} candidates and the router")
    try:
        _deploy_applications(config, zoo, started_at, report)
    except BaseException:
        shutdown()
        raise


def shutdown() -> None:
    """Stop every application that :func:`deploy` started; others on the cluster stay.

    Serve itself is stopped when nothing else runs on it. The cluster stays with whoever
    started it.
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
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
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


def _deploy_applications(config: ServeConfig, zoo: Zoo, started_at: float, report: Report) -> None:
    serve.start(
        http_options={
            "host": config.host,
            "port": config.port,
            "request_timeout_s": config.request_timeout_s,
        },
        logging_config={"enable_access_log": False},
    )
    # A process of its own imports the engine, deploys and ends; this one stays small.
    deploy_candidates = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(run_candidates)
    submitted = deploy_candidates.remote(zoo.candidates, config.candidates)
    try:
        run_router(config)
        _wait_until_submitted(submitted)
    except (KeyboardInterrupt, SystemExit):
        # Left alone it would deploy after everything was stopped.
        ray.cancel(submitted, force=True)
        raise
    labels = {c.application_name: f"candidate {c.name}" for c in zoo.candidates}
    labels[ROUTER_APPLICATION] = "router"
    _wait_until_running(labels, started_at, config.startup_timeout_s, report)
    _check_answers(config)


def _wait_until_submitted(submitted: ray.ObjectRef) -> None:
    try:
        ray.get(submitted)
    except RayTaskError as error:
        if isinstance(error.cause, ModelSatError):
            raise error.cause from None
        raise
    except RayError as error:
        raise MachineError(
            f"the process that deploys the candidates died: {' '.join(str(error).split())[:300]}; "
            "give it more memory and run again"
        ) from None


def _wait_until_running(
    labels: dict[str, str], started_at: float, timeout_s: float, report: Report
) -> None:
    waiting = dict(labels)
    while waiting:
        applications = serve.status().applications
        for name in list(waiting):
            application = applications.get(name)
            if application is None:
                continue
            if application.status == ApplicationStatus.RUNNING:
                elapsed_s = time.monotonic() - started_at
                report(f"{waiting.pop(name)} ready after {elapsed_s:.1f} s")
            elif application.status == ApplicationStatus.DEPLOY_FAILED:
                kind = ArtifactError if name == ROUTER_APPLICATION else ZooError
                raise kind(f"{waiting[name]} cannot start: {_reason(application)}")
        if waiting and time.monotonic() - started_at > timeout_s:
            raise MachineError(
                f"not ready after {timeout_s:g} s: {', '.join(waiting.values())}; give the "
                "cluster more CPUs, GPUs or memory, or raise startup_timeout_s"
            )
        time.sleep(_POLL_INTERVAL_S)


def _origin(config: ServeConfig) -> str:
    return config.url.removesuffix("/v1")


def _reason(application: ApplicationStatusOverview) -> str:
    """Why an application failed: the last line of its messages, without the exception's name."""
    messages = [deployment.message for deployment in application.deployments.values()]
    lines = [
        line for line in "\n".join([application.message, *messages]).splitlines() if line.strip()
    ]
    if not lines:
        return "no reason given; see the logs of the Serve controller"
    return re.sub(r"^[\w.]+(Error|Exception): ", "", lines[-1].strip())


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
