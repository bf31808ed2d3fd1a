"""Serve applications from configuration: the only module that turns classes into deployments.

Nothing here imports vLLM or torch when it is imported.
"""

from collections.abc import Sequence

from ray import serve
from ray.serve import Application

from modelsat.errors import MachineError, ZooError
from modelsat.zoo import VllmCandidate
from serve_app.candidates.llm_config import complete_llm_config
from serve_app.config import CandidateOptions, ServeConfig
from serve_app.ingress import Ingress
from serve_app.scoring.deployment import ScorerDeployment

ROUTER_APPLICATION = "router"
SCORER_DEPLOYMENT = "Scorer"
_QUIET_LOGS = {"enable_access_log": False}  # one line per request costs latency and disk


def build_router(config: ServeConfig) -> Application:
    """The application that clients talk to: ingress in front of the scorer.

    Arguments of deployments are logged in full, so they are paths and numbers only.
    """
    scorer = serve.deployment(
        ScorerDeployment,
        name=SCORER_DEPLOYMENT,
        num_replicas=config.scorer.num_replicas,
        max_ongoing_requests=config.scorer.max_ongoing_requests,
        max_constructor_retry_count=1,
        logging_config=_QUIET_LOGS,
        ray_actor_options={
            "num_cpus": config.scorer.num_cpus,
            # Ray sets floor(num_cpus), which makes a forward pass 1.5 to 2 times slower.
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(config.scorer.num_threads)}},
        },
    )
    ingress = serve.deployment(
        serve.ingress()(Ingress),
        name="Ingress",
        num_replicas=config.ingress.num_replicas,
        max_ongoing_requests=config.ingress.max_ongoing_requests,
        max_constructor_retry_count=1,
        logging_config=_QUIET_LOGS,
        ray_actor_options={"num_cpus": config.ingress.num_cpus},
    )
    return ingress.bind(
        zoo=str(config.zoo.absolute()),
        scorer=scorer.bind(
            router=str(config.router.absolute()),
            cards=str(config.cards.absolute()),
            zoo=str(config.zoo.absolute()),
            max_batch_size=config.scorer.max_batch_size,
            batch_wait_timeout_s=config.scorer.batch_wait_timeout_s,
        ),
        scorer_timeout_s=config.ingress.scorer_timeout_s,
    )


def build_candidate(candidate: VllmCandidate, options: CandidateOptions) -> Application:
    """The application of one candidate, without a route of its own.

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


def run_candidates(candidates: Sequence[VllmCandidate], options: CandidateOptions) -> None:
    """Deploy all candidates at once, so that they start side by side; does not wait for them.

    Raises:
        ZooError: an ``llm_config`` is refused; then none is deployed.
    """
    _run_without_waiting(
        [
            serve.RunTarget(
                target=build_candidate(candidate, options),
                name=candidate.application_name,
                route_prefix=None,
            )
            for candidate in candidates
        ]
    )


def _run_without_waiting(targets: Sequence[serve.RunTarget]) -> None:
    serve.run_many(
        targets,
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )
