"""The response of ``POST /v1/route``: every candidate, the choice and its reasons."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modelsat.routing.admission import matching
from modelsat.routing.costs import USD_PER_MTOK, zoo_costs
from serve_app.contracts.routing import Ranking, RouteRequest
from serve_app.contracts.scores import StatementNote
from serve_app.routing.estimates import Estimates
from serve_app.routing.zoo_table import ZooTable

NO_CARD = "no_card"


@dataclass(frozen=True)
class Explained:
    """The parts of the response.

    Attributes:
        table: the zoo.
        request: the request.
        ranking: the decision.
        prompt_tokens: tokens of the prompt, counted.
        statements: by candidate, the card statements that mattered most.
        estimates: expected latency and cost.
    """

    table: ZooTable
    request: RouteRequest
    ranking: Ranking
    prompt_tokens: int
    statements: Mapping[str, Sequence[StatementNote]]
    estimates: Estimates


def document(explained: Explained) -> dict[str, Any]:
    """Return the JSON object.

    ``model_names``, ``confidences`` and ``costs`` are of one length and order: the candidates
    that have a card. Candidates that the caller's key may not use are left out.
    """
    ranking = explained.ranking
    candidates = _candidates(explained)
    scored = [entry for entry in candidates if entry["excluded_because"] != NO_CARD]
    return {
        "selected_model": ranking.order[0],
        "model_names": [entry["model"] for entry in scored],
        "confidences": [entry["p_correct"] for entry in scored],
        "costs": [entry["cost_usd_per_mtok"] for entry in scored],
        "metadata": {
            "order": list(ranking.order),
            "cost_unit": USD_PER_MTOK,
            "prompt_tokens": explained.prompt_tokens,
        },
        "candidates": candidates,
        "reason": ranking.reason,
        "zoo_version": ranking.zoo_version,
    }


def pareto_flags(points: Sequence[tuple[float, float, float]]) -> list[bool]:
    """Whether each point is on the Pareto front: no other is as good everywhere and better once.

    Args:
        points: P(correct), cost and latency of each; unknown costs and latencies are infinite.
    """
    if not points:
        return []
    values_N3: npt.NDArray[np.float64] = np.array(points) * [-1.0, 1.0, 1.0]
    return [
        not bool(np.any((values_N3 <= own).all(axis=1) & (values_N3 < own).any(axis=1)))
        for own in values_N3
    ]


def _candidates(explained: Explained) -> list[dict[str, Any]]:
    table, ranking, request = explained.table, explained.ranking, explained.request
    zoo = table.state.zoo
    permitted = matching(zoo.names, ("*",) if request.permitted is None else request.permitted)
    costs = zoo_costs(zoo, zoo.names).by_candidate
    admitted = set(ranking.order)
    max_new_tokens = request.requirements.max_new_tokens
    entries = []
    for candidate in zoo.candidates:
        name = candidate.name
        if name not in permitted:
            continue
        excluded = None if name in admitted else ranking.excluded.get(name, NO_CARD)
        entries.append(
            {
                "model": name,
                "p_correct": _finite(ranking.scores.get(name)),
                "cost_usd": explained.estimates.cost_usd(
                    name, candidate.price, explained.prompt_tokens, max_new_tokens
                ),
                "cost_usd_per_mtok": costs[name],
                "latency_s": explained.estimates.latency_s(name),
                "pareto": False,
                "admitted": name in admitted,
                "excluded_because": excluded,
                "statements": [vars(note) for note in explained.statements.get(name, ())],
            }
        )
    _flag_pareto(entries)
    return entries


def _flag_pareto(entries: list[dict[str, Any]]) -> None:
    """Flag the admitted candidates on the Pareto front."""
    rivals = [entry for entry in entries if entry["admitted"] and entry["p_correct"] is not None]
    points = [
        (
            entry["p_correct"],
            math.inf if entry["cost_usd"] is None else entry["cost_usd"],
            math.inf if entry["latency_s"] is None else entry["latency_s"],
        )
        for entry in rivals
    ]
    for entry, flag in zip(rivals, pareto_flags(points), strict=True):
        entry["pareto"] = flag


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None
