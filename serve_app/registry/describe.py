"""What the served zoo looks like to an administrator, as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelsat.zoo.candidate import Candidate
from serve_app.contracts.zoo_state import ZooState
from serve_app.registry.followers import FollowerState
from serve_app.registry.store import VersionRecord


def describe_state(
    state: ZooState, record: VersionRecord, replicas: Mapping[str, int], problems: Mapping[str, str]
) -> dict[str, Any]:
    """The zoo at one version.

    Args:
        state: the zoo.
        record: what is said of that version.
        replicas: running replicas by candidate, for local ones.
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
    """One version: number, time, change and router."""
    return record.model_dump(
        mode="json", include={"version", "created_at", "change", "router", "router_hash"}
    )


def describe_followers(followers: Sequence[FollowerState], version: int) -> dict[str, Any]:
    """Who follows, and whether all work by that version."""
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
    """The entry without ``llm_config``, whose environment may hold what is not to be shown."""
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
