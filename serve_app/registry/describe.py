"""The served zoo as JSON, for administrators."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelsat.zoo.candidate import Candidate
from serve_app.contracts.zoo_state import ZooState
from serve_app.registry.followers import FollowerState
from serve_app.registry.store import VersionRecord


def describe_state(
    state: ZooState, record: VersionRecord, replicas: Mapping[str, int], problems: Mapping[str, str]
) -> dict[str, Any]:
    """Describe the zoo at one version.

    Args:
        state: the zoo.
        record: time, change and router of that version.
        replicas: running replicas by candidate of this cluster.
        problems: why a candidate is not served, by name.
    """
    cards = {card.candidate: card for card in state.cards}
    candidates = []
    for candidate in state.zoo.candidates:
        card = cards.get(candidate.name)
        candidates.append(
            {
                **_entry(candidate),
                "card_version": card and card.card_version,
                "accuracy_fraction": card and card.accuracy_fraction,
                "running_replicas": replicas.get(candidate.name),
                "problem": problems.get(candidate.name),
            }
        )
    return {**describe_record(record), "candidates": candidates}


def describe_record(record: VersionRecord) -> dict[str, Any]:
    """Describe one version: number, time, change and router."""
    return record.model_dump(
        mode="json", include={"version", "created_at", "change", "router", "router_hash"}
    )


def describe_followers(followers: Sequence[FollowerState], version: int) -> dict[str, Any]:
    """Describe the followers, and whether all have applied that version."""
    return {
        "agreed": all(follower.version >= version for follower in followers),
        "followers": [
            {
                "id": follower.label,
                "version": follower.version,
                "problem": follower.problem or None,
            }
            for follower in followers
        ],
    }


def _entry(candidate: Candidate) -> dict[str, Any]:
    """Return the common fields of an entry; settings of its engine may hold secrets."""
    return {
        "name": candidate.name,
        "engine": candidate.engine,
        "source": candidate.source,
        "application": candidate.application_name if candidate.runs_on_cluster else None,
        "context_window": candidate.context_window,
        "modalities": list(candidate.modalities),
        "tools": candidate.tools,
        "endpoints": list(candidate.endpoints),
        "price": candidate.price and candidate.price.model_dump(),
    }
