"""Evaluate an endpoint's decisions from its routing log and later outcomes.

Shapes: D decisions, Q questions, M candidates.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from modelsat.artifacts.cells import correctness_matrix
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.capability.cards import Card
from modelsat.errors import ConfigError
from modelsat.evaluation.baselines.tuning import Embed
from modelsat.evaluation.decision_log import DecisionLog
from modelsat.evaluation.evaluate import evaluate_choices
from modelsat.evaluation.metrics import (
    CONFIDENCE,
    brier_score,
    cell_auc,
    expected_calibration_error,
    grouped_mean,
    reliability,
)
from modelsat.outcomes.joining import build_matrix
from modelsat.outcomes.matrix import Floats, OutcomeMatrix
from modelsat.routing.costs import CandidateCosts

DECISIONS_VERSION = 1


@dataclass(frozen=True)
class LoggedReport:
    """The evaluation of a routing log.

    Attributes:
        decisions: outcomes of the answers that were given: content of ``decisions.json``.
        comparison: comparison of the choices with baselines, on the questions that every
            candidate answered: content of ``report.json``; None if there are none.
    """

    decisions: dict[str, Any]
    comparison: dict[str, Any] | None


def evaluate_log(
    log: DecisionLog,
    outcomes: pa.Table,
    cards: Sequence[Card],
    questions: pa.Table | None = None,
    training: OutcomeMatrix | None = None,
    *,
    embed: Embed | None = None,
    costs: CandidateCosts | None = None,
) -> LoggedReport:
    """Evaluate a routing log.

    Evaluates two things. Decisions: every answer with a known outcome, as often as it was given.
    Choices: the first choice for each question (the last time it was asked), compared with
    baselines; this needs outcomes and logged scores of all candidates.

    Args:
        log: the decisions.
        outcomes: outcomes table over the log's question ids.
        cards: the candidates to compare.
        questions: questions table with tasks and categories; questions that are not in it have
            no task.
        training: see :func:`modelsat.evaluation.evaluate.evaluate_router`.
        embed: see ``training``; needs the log's prompts, or ``questions``.
        costs: see ``training``.

    Raises:
        ArtifactError: a question has two outcomes of one candidate, or an outcome is outside
            0..1.
        ConfigError: there is no text to embed.
    """
    candidates = {*log.answered_by, *(card.candidate for card in cards)}
    correct = _correct_by_cell(outcomes, log.question_ids, candidates)
    return LoggedReport(
        _decisions_report(log, correct),
        _comparison(log, outcomes, correct, cards, questions, training, embed, costs),
    )


def _correct_by_cell(
    outcomes: pa.Table, question_ids: Sequence[str], candidates: Iterable[str]
) -> dict[tuple[str, str], float]:
    """Return the known outcomes of the logged questions by question and candidate."""
    ids, names = sorted(set(question_ids)), sorted(set(candidates))
    correct_QM = correctness_matrix(outcomes, ids, names)
    known = np.argwhere(~np.isnan(correct_QM)).tolist()
    return {(ids[q], names[m]): float(correct_QM[q, m]) for q, m in known}


def _decisions_report(log: DecisionLog, correct: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    cells = zip(log.question_ids, log.answered_by, strict=True)
    correct_D = np.array([correct.get(cell, np.nan) for cell in cells], dtype=np.float32)
    correct_D[log.column("status") >= 400] = np.nan  # failed requests have no answer
    is_graded = ~np.isnan(correct_D)
    times = log.table["logged_at"]
    return {
        "version": DECISIONS_VERSION,
        "first_logged_at": times[0].as_py().isoformat(),
        "last_logged_at": times[-1].as_py().isoformat(),
        "n_decisions": len(log),
        "n_questions": len(set(log.question_ids)),
        "n_answered": int((log.column("status") < 400).sum()),
        "n_graded": int(is_graded.sum()),
        "accuracy": _accuracy(correct_D[is_graded], np.array(log.question_ids)[is_graded]),
        "calibration": _calibration(log, correct_D),
        "shares": _shares(log.answered_by),
        "by_candidate": _by(log.answered_by, correct_D),
        "by_reason": _by(log.table["reason"].to_pylist(), correct_D),
        "by_profile": _by(log.table["profile"].to_pylist(), correct_D),
        "by_zoo_version": _by([str(v) for v in log.table["zoo_version"].to_pylist()], correct_D),
        "fallback_fraction": _fallback_fraction(log),
        "latency_s": _quantiles(log.column("latency_s")),
        "prompt_tokens": float(np.nansum(log.column("prompt_tokens"))),
        "completion_tokens": float(np.nansum(log.column("completion_tokens"))),
        "cost_usd": _cost(log.column("cost_usd"), correct_D),
    }


def _fallback_fraction(log: DecisionLog) -> float:
    """Share of decisions that were not answered by the first choice."""
    pairs = zip(log.answered_by, log.first_choice, strict=True)
    return sum(answered_by != first for answered_by, first in pairs) / len(log)


def _accuracy(correct: Floats, question_ids: Any) -> dict[str, float] | None:
    if not len(correct):
        return None
    low, high = grouped_mean(correct, question_ids)
    return {"value": float(correct.mean()), "low": low, "high": high, "confidence": CONFIDENCE}


def _calibration(log: DecisionLog, correct_D: Floats) -> dict[str, Any] | None:
    """Compare the logged P(correct) of the answering candidates with outcomes."""
    names = sorted(set(log.answered_by))
    column_of = {name: i for i, name in enumerate(names)}
    columns = [column_of[name] for name in log.answered_by]
    stated_D = log.probabilities(names)[np.arange(len(log)), columns]
    is_known = ~np.isnan(correct_D) & np.isfinite(stated_D)
    stated, correct = stated_D[is_known], correct_D[is_known]
    if not len(stated):
        return None
    return {
        "n": len(stated),
        "mean_stated": float(stated.mean()),
        "accuracy": float(correct.mean()),
        "ece": expected_calibration_error(stated, correct),
        "brier": brier_score(stated, correct),
        "auc": cell_auc(stated, correct),
        "reliability": [vars(one) for one in reliability(stated, correct)],
    }


def _shares(answered_by: Sequence[str]) -> dict[str, float]:
    counts = Counter(answered_by)
    return {name: counts[name] / len(answered_by) for name in sorted(counts)}


def _by(keys: Sequence[str], correct_D: Floats) -> dict[str, dict[str, Any]]:
    """Number of decisions, number graded and accuracy, grouped by a key per decision."""
    result = {}
    for key in sorted(set(keys)):
        is_of_key = np.array([other == key for other in keys])
        graded = correct_D[is_of_key & ~np.isnan(correct_D)]
        result[key] = {
            "n_decisions": int(is_of_key.sum()),
            "n_graded": len(graded),
            "accuracy": float(graded.mean()) if len(graded) else None,
        }
    return result


def _quantiles(values_D: Any) -> dict[str, float] | None:
    known = values_D[np.isfinite(values_D)]
    if not len(known):
        return None
    return {name: float(np.quantile(known, q)) for name, q in (("p50", 0.5), ("p95", 0.95))}


def _cost(cost_D: Any, correct_D: Floats) -> dict[str, float | int | None]:
    known = np.isfinite(cost_D)
    both = known & ~np.isnan(correct_D)
    num_correct = float(correct_D[both].sum())
    return {
        "n": int(known.sum()),
        "total": float(cost_D[known].sum()),
        "per_correct_answer": float(cost_D[both].sum()) / num_correct if num_correct else None,
    }


def _comparison(
    log: DecisionLog,
    outcomes: pa.Table,
    correct: Mapping[tuple[str, str], float],
    cards: Sequence[Card],
    questions: pa.Table | None,
    training: OutcomeMatrix | None,
    embed: Embed | None,
    costs: CandidateCosts | None,
) -> dict[str, Any] | None:
    names = [card.candidate for card in cards]
    last = {question_id: i for i, question_id in enumerate(log.question_ids)}
    probabilities_DM = log.probabilities(names)
    is_scored = [bool(np.isfinite(row).all()) for row in probabilities_DM]
    usable = {
        question_id: i
        for question_id, i in last.items()
        if is_scored[i]
        and log.first_choice[i] in names
        and all((question_id, name) in correct for name in names)
    }
    if not usable:
        return None
    matrix = build_matrix(_questions(log, list(usable.values()), questions), outcomes, cards)
    if embed is not None and not all(matrix.instructions):
        raise ConfigError(
            "the learned baselines need prompts, which this routing log does not have; pass the "
            "questions, log with_prompts, or omit the embedding model"
        )
    rows = [usable[question_id] for question_id in matrix.question_ids]
    return evaluate_choices(
        matrix,
        probabilities_DM[rows],
        np.array([names.index(log.first_choice[i]) for i in rows]),
        training,
        num_excluded=len(last) - len(rows),
        embed=embed,
        costs=costs,
    )


def _questions(log: DecisionLog, rows: Sequence[int], questions: pa.Table | None) -> pa.Table:
    """Build a questions table of some decisions, with known tasks where available."""
    known_rows = [] if questions is None else questions.to_pylist()
    known = {row["question_id"]: row for row in known_rows}
    prompts = log.table["prompt"].to_pylist()
    question_rows = []
    for i in rows:
        question_id = log.question_ids[i]
        unknown = {"benchmark": "routing_log", "task": "", "answer": ""}
        row = {"question_id": question_id, "prompt": prompts[i] or "", **unknown}
        question_rows.append(known.get(question_id, row))
    return pa.Table.from_pylist(question_rows, schema=QUESTIONS.arrow)
