"""Deploys Serve applications and does not wait for them."""

from collections.abc import Sequence

from ray import serve

from modelsat.errors import ModelSatError
from modelsat.zoo.candidate import Candidate
from serve_app.candidates.engines import cluster_engine_of
from serve_app.config import CandidateOptions


def run_candidates(
    candidates: Sequence[Candidate], options: CandidateOptions
) -> dict[str, ModelSatError]:
    """Deploy candidates together, so that they start side by side.

    Args:
        candidates: candidates that this cluster runs.
        options: limits for candidates whose entry states none.

    Returns:
        Why a candidate was not deployed, by name; a refused setting does not affect the others.
    """
    targets: list[serve.RunTarget] = []
    refused: dict[str, ModelSatError] = {}
    for candidate in candidates:
        try:
            target = cluster_engine_of(candidate).build(options)
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
    """Deploy applications side by side."""
    serve.run_many(
        targets,
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )
