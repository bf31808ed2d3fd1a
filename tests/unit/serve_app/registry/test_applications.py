"""Replica counts and errors, read from Serve's status."""

import asyncio
from types import SimpleNamespace

import pytest
from ray.serve.schema import (
    ApplicationStatus,
    ApplicationStatusOverview,
    DeploymentStatus,
    DeploymentStatusOverview,
    DeploymentStatusTrigger,
)

from modelsat.errors import ZooError
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.config import CandidateOptions
from serve_app.registry import applications
from serve_app.registry.applications import ServeApplications, failure_reason


def test_replicas_count_while_they_take_requests(monkeypatch, tmp_path):
    states = {
        "candidate-a": {"RUNNING": 2, "STARTING": 1},
        "candidate-draining": {"PENDING_MIGRATION": 1, "STARTING": 1},
        "candidate-found-again": {"RECOVERING": 1},
        "candidate-dead": {"STARTING": 1, "STOPPING": 1},
        "candidate-asleep": {},
        "of-others": {"RUNNING": 1},
    }
    status = SimpleNamespace(
        applications={
            name: SimpleNamespace(deployments={"LLM": SimpleNamespace(replica_states=counts)})
            for name, counts in states.items()
        }
    )
    monkeypatch.setattr(applications.serve, "status", lambda: status)
    found = ServeApplications(CandidateOptions(), tmp_path / "record.json", 60)
    assert asyncio.run(found.replicas()) == {
        "candidate-a": 2,
        "candidate-draining": 1,
        "candidate-found-again": 1,
        "candidate-dead": 0,
        "candidate-asleep": 0,
    }


def test_the_error_is_that_of_the_failed_deployment_not_of_one_that_waits_for_it():
    def deployment(status: DeploymentStatus, message: str) -> DeploymentStatusOverview:
        return DeploymentStatusOverview(status, DeploymentStatusTrigger.UNSPECIFIED, {}, message)

    application = ApplicationStatusOverview(
        status=ApplicationStatus.DEPLOY_FAILED,
        message="Failed to update the deployments ['Scorer'].",
        last_deployed_time_s=0,
        deployments={
            "Scorer": deployment(
                DeploymentStatus.DEPLOY_FAILED, "Traceback:\nsome.ArtifactError: no weights in it\n"
            ),
            "Ingress": deployment(
                DeploymentStatus.UPDATING,
                "1 replicas have taken more than 30s to initialize.\n"
                "This may be caused by a slow __init__ or reconfigure method.",
            ),
        },
    )
    assert failure_reason(application) == "no weights in it"


def _sharing_zoo() -> tuple[Candidate, ...]:
    """Two candidates with one engine, and another one."""
    loading = {"model_id": "m", "model_source": "org/model"}
    placement = {"bundles": [{"CPU": 1}]}
    llm_config = {"model_loading_config": loading, "placement_group_config": placement}
    entry = {"engine": "vllm", "context_window": 64}
    entries = [
        {**entry, "name": "quick", "same_engine_as": "slow"},
        {**entry, "name": "slow", "llm_config": llm_config},
        {**entry, "name": "other", "llm_config": llm_config},
    ]
    return Zoo.model_validate({"version": 1, "candidates": entries}).candidates


@pytest.mark.parametrize("fails", ["refused", "failed", None])
def test_candidates_that_share_an_engine_start_it_once_and_fail_together(
    monkeypatch, tmp_path, fails
):
    started: list[str] = []
    deleted: list[str] = []
    status = SimpleNamespace(applications={})

    async def run(self, candidates):
        for candidate in candidates:
            started.append(candidate.application_name)
            dies = fails == "failed" and candidate.engine_name == "slow"
            state = ApplicationStatus.DEPLOY_FAILED if dies else ApplicationStatus.RUNNING
            status.applications[candidate.application_name] = ApplicationStatusOverview(
                status=state, message="no room", last_deployed_time_s=0, deployments={}
            )
        engines = [c for c in candidates if c.engine_name == "slow"]
        return {c.name: ZooError("bad option") for c in engines} if fails == "refused" else {}

    monkeypatch.setattr(ServeApplications, "_run", run)
    monkeypatch.setattr(applications.serve, "status", lambda: status)
    monkeypatch.setattr(applications.serve, "delete", deleted.append)
    monkeypatch.setattr(applications.ray, "cluster_resources", lambda: {"CPU": 2})
    serving = ServeApplications(CandidateOptions(), tmp_path / "record.json", 60)
    failures = asyncio.run(serving.deploy(_sharing_zoo()))
    assert sorted(started) == ["candidate-other", "candidate-slow"]
    assert set(failures) == ({"quick", "slow"} if fails else set())
    assert deleted == (["candidate-slow"] if fails == "failed" else [])
