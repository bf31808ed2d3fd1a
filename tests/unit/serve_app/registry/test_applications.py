"""Replica counts and errors, read from Serve's status."""

import asyncio
from types import SimpleNamespace

from ray.serve.schema import (
    ApplicationStatus,
    ApplicationStatusOverview,
    DeploymentStatus,
    DeploymentStatusOverview,
    DeploymentStatusTrigger,
)

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
