"""Serve applications from configuration: the only module that turns classes into deployments.

Nothing here imports vLLM or torch when it is imported.
"""

from collections.abc import Sequence
from typing import Any

from ray import serve
from ray.serve import Application

from modelsat.config import load_config
from modelsat.errors import MachineError, ModelSatError, ZooError
from modelsat.zoo.engines.vllm import VllmCandidate
from serve_app.candidates.llm_config import complete_llm_config
from serve_app.config import CandidateOptions, ServeConfig
from serve_app.ingress import Ingress
from serve_app.registry.deployment import ControllerDeployment
from serve_app.scoring.deployment import ScorerDeployment

ROUTER_APPLICATION = "router"
SCORER_DEPLOYMENT = "Scorer"
CONTROLLER_DEPLOYMENT = "ZooController"
INGRESS_DEPLOYMENT = "Ingress"

_QUIET_LOGS = {"enable_access_log": False}  # one line per request costs latency and disk
_INGRESS_LOGS = {**_QUIET_LOGS, "encoding": "JSON"}  # shows the fields of the request log
# Beside requests that work or wait: probes, the administration of the zoo, and requests that
# are about to be refused. Serve itself refuses beyond, without OpenAI's error shape.
_SPARE_REQUESTS = 512
# An upgrade starts new replicas beside the old ones and takes none away before.
_UPGRADE = {"max_surge_percent": 100}


def build_app(args: dict[str, str]) -> Application:
    """What ``serve run`` and ``serve deploy`` build: ``args`` is ``{"config": FILE}``.

    Raises:
        ConfigError: the file is missing, or a value of it is refused.
    """
    return build_router(load_config(ServeConfig, args["config"]))


def build_router(config: ServeConfig) -> Application:
    """The application that clients talk to: ingress, scorer and zoo controller.

    Arguments of deployments are logged in full: the configuration names files and environment
    variables, never what they hold.
    """
    settings = anchored(config).model_dump(mode="json")
    controller = _controller().bind(settings)
    scorer = _scorer(config).bind(settings, controller)
    return _ingress(config).bind(settings, scorer, controller)


def anchored(config: ServeConfig) -> ServeConfig:
    """The configuration with absolute paths: replicas run in other folders."""
    log = config.observability.routing_log
    routing_log = log.model_copy(update={"folder": log.folder and log.folder.absolute()})
    keys = config.security.keys
    changes: dict[str, Any] = {
        "zoo": config.zoo.absolute(),
        "cards": config.cards.absolute(),
        "router": config.router.absolute(),
        "security": config.security.model_copy(update={"keys": keys and keys.absolute()}),
        "observability": config.observability.model_copy(update={"routing_log": routing_log}),
        "registry": config.registry.model_copy(
            update={"folder": config.registry.folder.absolute()}
        ),
    }
    return config.model_copy(update=changes)


def _controller() -> serve.Deployment:
    return serve.deployment(
        ControllerDeployment,
        name=CONTROLLER_DEPLOYMENT,
        num_replicas=1,
        max_ongoing_requests=10_000,  # every replica keeps one request waiting here
        ray_actor_options={"num_cpus": 0.1},
        logging_config=_QUIET_LOGS,
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
        logging_config=_QUIET_LOGS,
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
        graceful_shutdown_wait_loop_s=0.5,
        ray_actor_options={"num_cpus": options.num_cpus},
        logging_config=_INGRESS_LOGS,
        **_UPGRADE,
    )


def build_candidate(candidate: VllmCandidate, options: CandidateOptions) -> Application:
    """The application of one local candidate, without a route of its own.

    Imports the engine: call it in a process that may be large and short-lived.

    Raises:
        ZooError: Ray or the engine refuses its ``llm_config``.
        MachineError: vLLM is not installed.
    """
    try:
        from ray.serve.llm import LLMConfig, build_llm_deployment

        from serve_app.candidates.server import CandidateServer
    except ImportError as error:
        raise MachineError(
            f"the engine cannot be imported: {error}; install the vLLM that the pin list names"
        ) from None
    try:
        llm_config = LLMConfig(**complete_llm_config(candidate, options))
        return build_llm_deployment(
            llm_config,
            deployment_cls=CandidateServer,
            override_serve_options={"logging_config": _QUIET_LOGS},
        )
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ZooError(
            f"candidate {candidate.name!r}: llm_config is refused: {reason[:400]}"
        ) from None


def run_router(config: ServeConfig) -> None:
    """Deploy the router application; does not wait for it."""
    target = serve.RunTarget(target=build_router(config), name=ROUTER_APPLICATION, route_prefix="/")
    _run_without_waiting([target])


def run_candidates(
    candidates: Sequence[VllmCandidate], options: CandidateOptions
) -> dict[str, ModelSatError]:
    """Deploy candidates together, so that they start side by side; does not wait for them.

    Returns:
        Why a candidate was not deployed, by its name: an option that Ray or the engine refuses
        is the affair of that candidate alone.
    """
    targets: list[serve.RunTarget] = []
    refused: dict[str, ModelSatError] = {}
    for candidate in candidates:
        try:
            target = build_candidate(candidate, options)
        except ModelSatError as error:
            refused[candidate.name] = error
        else:
            targets.append(
                serve.RunTarget(target=target, name=candidate.application_name, route_prefix=None)
            )
    if targets:
        _run_without_waiting(targets)
    return refused


def _run_without_waiting(targets: Sequence[serve.RunTarget]) -> None:
    serve.run_many(
        targets,
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )
