"""The Serve application of one local candidate. Imports vLLM only where it is built."""

from collections.abc import Sequence

from ray import serve
from ray.serve import Application

from modelsat.errors import MachineError, ModelSatError, ZooError
from modelsat.zoo.engines.vllm import VllmCandidate
from serve_app.candidates.llm_config import complete_llm_config
from serve_app.config import CandidateOptions

QUIET_LOGS = {"enable_access_log": False}  # one line per request costs latency and disk


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
            override_serve_options={"logging_config": QUIET_LOGS},
        )
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ZooError(
            f"candidate {candidate.name!r}: llm_config is refused: {reason[:400]}"
        ) from None


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
        run_without_waiting(targets)
    return refused


def run_without_waiting(targets: Sequence[serve.RunTarget]) -> None:
    """Deploy applications side by side; does not wait until they run."""
    serve.run_many(
        targets,
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )
