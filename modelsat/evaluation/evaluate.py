"""Evaluate a router on questions with known outcomes."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from modelsat.errors import ArtifactError
from modelsat.evaluation.baselines import Baseline, baselines
from modelsat.evaluation.baselines.card_text import CARD_TEXT
from modelsat.evaluation.baselines.tuning import Embed, learned_baselines
from modelsat.evaluation.method_experiments import (
    aptitude_coverage,
    encoder_ablation,
    new_candidates,
)
from modelsat.evaluation.metrics import (
    CONFIDENCE,
    Interval,
    Ints,
    brier_score,
    cell_auc,
    chosen_correct,
    expected_calibration_error,
    pair_accuracy,
    paired_bootstrap,
    reliability,
)
from modelsat.evaluation.tradeoff import tradeoff_report
from modelsat.outcomes.matrix import Floats, OutcomeMatrix
from modelsat.routing.costs import CandidateCosts
from modelsat.routing.policy import choose_each
from modelsat.routing.scoring import Scorer

REPORT_VERSION = 3


def complete_rows(matrix: OutcomeMatrix) -> OutcomeMatrix:
    """Select the questions that every candidate answered, for a fair comparison of policies.

    Raises:
        ArtifactError: there are no such questions.
    """
    complete = np.flatnonzero(~np.isnan(matrix.correct_QM).any(axis=1))
    if not len(complete):
        raise ArtifactError(
            f"no question was answered by all of {', '.join(matrix.candidates)}; evaluate on "
            "candidates with common questions"
        )
    return matrix.rows(complete.tolist())


def evaluate_router(
    scorer: Scorer,
    matrix: OutcomeMatrix,
    training: OutcomeMatrix | None = None,
    *,
    new: Sequence[str] = (),
    embed: Embed | None = None,
    costs: CandidateCosts | None = None,
) -> dict[str, Any]:
    """Evaluate a router against baselines.

    Args:
        scorer: the loaded router.
        matrix: candidates, their cards, and outcomes on questions outside the training data.
        training: outcomes to choose best single and best per task on; None: in hindsight.
        new: candidates that the router was not trained on.
        embed: embeds instructions for the learned baselines, which are fitted on ``training``;
            if either is missing, the report has only the simple baselines.
        costs: costs of the candidates, in the order of the matrix, for the cost-quality curve.

    Returns:
        The content of ``report.json``; accuracies are fractions.

    Raises:
        ZooError: a new candidate is not in the zoo.
    """
    complete = complete_rows(matrix)
    log_odds_QM = scorer.log_odds_in_batches(complete.instructions, complete.cards)
    probabilities_QM = scorer.router.calibration.probabilities(log_odds_QM)
    return evaluate_choices(
        complete,
        probabilities_QM,
        choose_each(probabilities_QM, None if costs is None else costs.as_array()),
        training,
        num_excluded=len(matrix) - len(complete),
        new=new,
        embed=embed,
        costs=costs,
    )


def evaluate_choices(
    complete: OutcomeMatrix,
    probabilities_QM: Floats,
    choice_Q: Ints,
    training: OutcomeMatrix | None = None,
    *,
    num_excluded: int = 0,
    new: Sequence[str] = (),
    embed: Embed | None = None,
    costs: CandidateCosts | None = None,
) -> dict[str, Any]:
    """Evaluate given choices against baselines.

    Args:
        complete: questions that every candidate answered.
        probabilities_QM: P(correct) behind the choices, float32.
        choice_Q: column of the candidate chosen for each question.
        training: see :func:`evaluate_router`.
        num_excluded: number of questions excluded because an answer was missing.
        new: see :func:`evaluate_router`.
        embed: see :func:`evaluate_router`.
        costs: see :func:`evaluate_router`.

    Returns:
        The content of ``report.json``; accuracies are fractions.
    """
    # Before the baselines are trained, since it rejects names that are not in the zoo.
    new_candidates_sign = new_candidates(probabilities_QM, complete, new)
    correct_Q = chosen_correct(complete.correct_QM, choice_Q)
    others = baselines(complete, training)
    if training is not None and embed is not None:
        others |= learned_baselines(complete, training, embed)
    gains = {name: paired_bootstrap(correct_Q, one.correct_Q) for name, one in others.items()}
    experiments = (
        aptitude_coverage(complete),
        encoder_ablation(gains.get(CARD_TEXT.name)),
        new_candidates_sign,
    )
    rows = {name: _row(one, gains[name], complete) for name, one in others.items()}
    shares_M = np.bincount(choice_Q, minlength=len(complete.cards)) / len(choice_Q)
    return {
        "version": REPORT_VERSION,
        "candidates": list(complete.candidates),
        "n_questions": len(complete),
        "n_excluded": num_excluded,
        "random": others["random"].accuracy,
        "best_single": {
            "accuracy": others["best_single"].accuracy,
            "chosen": others["best_single"].detail,
        },
        "best_per_task": others["best_per_task"].accuracy,
        "oracle": others["oracle"].accuracy,
        "router": {
            "accuracy": float(correct_Q.mean()),
            "gain_over_best_single": asdict(gains["best_single"]),
            "confidence": CONFIDENCE,
            "by_category": _by_category(correct_Q, complete),
            **_probability_figures(probabilities_QM, complete.correct_QM),
        },
        "shares": dict(zip(complete.candidates, shares_M.tolist(), strict=True)),
        "single_accuracy": dict(
            zip(complete.candidates, complete.correct_QM.mean(axis=0).tolist(), strict=True)
        ),
        "baselines": rows,
        "experiments": [asdict(one) for one in experiments],
        "tradeoff": tradeoff_report(probabilities_QM, complete.correct_QM, costs)
        if costs is not None
        else None,
        "reliability": [asdict(one) for one in reliability(probabilities_QM, complete.correct_QM)],
    }


def _probability_figures(probabilities_QM: Floats, correct_QM: Floats) -> dict[str, float | None]:
    return {
        "auc": cell_auc(probabilities_QM, correct_QM),
        "pair_accuracy": pair_accuracy(probabilities_QM, correct_QM),
        "brier": brier_score(probabilities_QM, correct_QM),
        "ece": expected_calibration_error(probabilities_QM, correct_QM),
    }


def _row(baseline: Baseline, gain: Interval, matrix: OutcomeMatrix) -> dict[str, Any]:
    return {
        "accuracy": baseline.accuracy,
        "detail": baseline.detail,
        "by_category": _by_category(baseline.correct_Q, matrix),
        "auc": cell_auc(baseline.scores_QM, matrix.correct_QM),
        "pair_accuracy": pair_accuracy(baseline.scores_QM, matrix.correct_QM),
        "router_gain": asdict(gain),
        "tuning": asdict(baseline.tuning) if baseline.tuning is not None else None,
    }


def _by_category(correct_Q: Floats, matrix: OutcomeMatrix) -> dict[str, float]:
    categories = np.array(matrix.categories)
    return {
        category: float(correct_Q[categories == category].mean())
        for category in sorted(set(matrix.categories))
    }
