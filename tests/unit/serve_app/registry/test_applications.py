"""What is read off Serve's status."""

import asyncio
from types import SimpleNamespace

from serve_app.config import CandidateOptions
from serve_app.registry import applications
from serve_app.registry.applications import ServeApplications


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
