"""Serve applications from configuration: the only module that turns classes into deployments.

Nothing here imports vLLM or torch when it is imported.
"""

from typing import Any

from ray import serve
from ray.serve import Application

from modelsat.config import load_config
from serve_app.candidates.serve_runs import run_without_waiting
from serve_app.config import ServeConfig
from serve_app.ingress import Ingress
from serve_app.registry.deployment import ControllerDeployment
from serve_app.scoring.deployment import ScorerDeployment
from serve_app.throughput import QUIET_LOGS

ROUTER_APPLICATION = "router"
SCORER_DEPLOYMENT = "Scorer"
CONTROLLER_DEPLOYMENT = "ZooController"
INGRESS_DEPLOYMENT = "Ingress"

_INGRESS_LOGS = {**QUIET_LOGS, "encoding": "JSON"}  # shows the fields of the request log
# Beside requests that work or wait: probes, the administration of the zoo, and requests that
# are about to be refused. Serve itself refuses beyond, without OpenAI's error shape.
_SPARE_REQUESTS = 512
# An upgrade starts new replicas beside the old ones and takes none away before.
_UPGRADE: dict[str, Any] = {"max_surge_percent": 100}
# Seconds between two looks whether a replica that stops still answers requests. Serve's default of
# 2 s is waited even if it answers none, once for each deployment, one after the other.
_QUICK_STOP: dict[str, Any] = {"graceful_shutdown_wait_loop_s": 0.5}


def build_app(args: dict[str, str]) -> Application:
    """Build the application for ``serve run`` and ``serve deploy``.

    Args:
        args: ``{"config": FILE}``.

    Raises:
        ConfigError: the file is missing, or a value of it is refused.
    """
    return build_router(load_config(ServeConfig, args["config"]))


def build_router(config: ServeConfig) -> Application:
    """The application that clients talk to: ingress, scorer and zoo controller.

    Arguments of deployments are logged in full: the configuration names files and environment
    variables, never what they hold.
    """
    settings = config.model_dump(mode="json")
    controller = _controller().bind(settings)
    scorer = _scorer(config).bind(settings, controller)
    return _ingress(config).bind(settings, scorer, controller)


def _controller() -> serve.Deployment:
    return serve.deployment(
        ControllerDeployment,
        name=CONTROLLER_DEPLOYMENT,
        num_replicas=1,
        max_ongoing_requests=10_000,  # every replica keeps one request waiting here
        ray_actor_options={"num_cpus": 0.1},
        logging_config=QUIET_LOGS,
        **_QUICK_STOP,
    )


def _scorer(config: ServeConfig) -> serve.Deployment:
    options = config.scorer
    return serve.deployment(
        ScorerDeployment,
        name=SCORER_DEPLOYMENT,
        num_replicas=options.num_replicas,
        max_ongoing_requests=options.max_ongoing_requests,
        ray_actor_options={
            "num_cpus": options.num_cpus,
            "num_gpus": options.num_gpus,
            # Ray sets floor(num_cpus), which makes a forward pass 1.5 to 2 times slower.
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(options.num_threads)}},
        },
        logging_config=QUIET_LOGS,
        **_QUICK_STOP,
        **_UPGRADE,
    )


def _ingress(config: ServeConfig) -> serve.Deployment:
    options = config.ingress
    return serve.deployment(
        serve.ingress()(Ingress),
        name=INGRESS_DEPLOYMENT,
        num_replicas=options.num_replicas,
        max_ongoing_requests=options.max_in_flight + options.max_queued + _SPARE_REQUESTS,
        max_queued_requests=_SPARE_REQUESTS,
        backpressure_config={"status_code": 503, "retry_after_s": 1},
        graceful_shutdown_timeout_s=options.drain_timeout_s,
        **_QUICK_STOP,
        ray_actor_options={"num_cpus": options.num_cpus},
        logging_config=_INGRESS_LOGS,
        **_UPGRADE,
    )


def run_router(config: ServeConfig) -> None:
    """Deploy the router application; does not wait for it."""
    target = serve.RunTarget(target=build_router(config), name=ROUTER_APPLICATION, route_prefix="/")
    run_without_waiting([target])
