"""Three experiments of the paper: aptitude coverage, encoder ablation, new candidates.

Shapes: Q questions, M candidates, T tasks.

Source:
    Zhang, Zhan, Ye, "Capability Instruction Tuning" (AAAI 2025) and its authors' advice for tests
    before a large run. The measure of coverage and its limit are ours.
"""

from collections.abc import Sequence

import numpy as np

from modelsat.errors import ZooError
from modelsat.evaluation.metrics import Interval, cell_auc
from modelsat.evaluation.signs import Sign
from modelsat.modeling.card_features import card_features
from modelsat.outcomes.matrix import Floats, OutcomeMatrix

MAX_AUC_DROP = 0.10  # relative, from known to new candidates: the paper's "drop over 10 %"
MIN_ENCODER_GAIN = 0.02  # in accuracy; below it the encoder is not needed (paper)
_NUM_DIVERSE = 5  # candidates used for coverage (paper: three to five)
_NUM_SHUFFLES = 2000
_CHANCE = 0.95  # quantile of the shuffled correlations above which one is not chance
_SEED = 0


def aptitude_coverage(matrix: OutcomeMatrix) -> Sign:
    """Check whether the cards of the most diverse candidates show the strengths of their answers.

    A strength is how much better a candidate does on a task than its level and the task's
    difficulty predict. Chance is the correlation after shuffling the tasks of the cards.

    Args:
        matrix: questions of the test's tasks but not of the test; every candidate answered them.
    """
    name = "aptitude coverage"
    cause = "the test's tasks do not separate candidates: choose more diverse tasks"
    features = card_features(matrix.cards)
    card_tasks = features.tasks
    tasks = sorted(set(matrix.tasks).intersection(card_tasks))
    if len(tasks) < 3 or len(matrix.cards) < 3:
        finding = "needs three candidates and questions of three tasks of the test"
        return Sign(name, None, None, None, finding, cause)
    columns = [card_tasks.index(task) for task in tasks]
    card_MT = _strengths(features.weights_MT[:, columns])
    task_Q = np.array(matrix.tasks)
    answer_MT = _strengths(
        np.stack([matrix.correct_QM[task_Q == task].mean(0) for task in tasks], axis=1)
    )
    rows = diverse(card_MT, _NUM_DIVERSE)
    correlation = _correlation(card_MT[rows], answer_MT[rows])
    rng = np.random.default_rng(_SEED)
    shuffled = [
        _correlation(card_MT[rows][:, rng.permutation(len(tasks))], answer_MT[rows])
        for _ in range(_NUM_SHUFFLES)
    ]
    chance = float(np.quantile(shuffled, _CHANCE))
    names = ", ".join(matrix.candidates[m] for m in rows)
    finding = (
        f"strengths on {len(tasks)} tasks according to the cards and to the answers of {names} "
        f"have a correlation of {correlation:.2f}; chance reaches {chance:.2f}"
    )
    return Sign(name, correlation, chance, correlation <= chance, finding, cause)


def encoder_ablation(gain: Interval | None) -> Sign:
    """Check whether the router beats the baseline that reads cards as text, without encoder.

    Args:
        gain: accuracy gain of the router over that baseline; None if it was not trained.
    """
    name = "encoder ablation"
    cause = "encoder and connector are not needed at this scale: plain text is as good"
    if gain is None:
        finding = "needs the learned baselines: training tables and a sentence encoder"
        return Sign(name, None, MIN_ENCODER_GAIN, None, finding, cause)
    finding = (
        f"{100 * gain.difference:+.1f} points over the card as plain text "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    )
    is_fault = gain.difference < MIN_ENCODER_GAIN
    return Sign(name, gain.difference, MIN_ENCODER_GAIN, is_fault, finding, cause)


def new_candidates(probabilities_QM: Floats, matrix: OutcomeMatrix, new: Sequence[str]) -> Sign:
    """Check whether new candidates are scored worse than candidates of the training data.

    Args:
        probabilities_QM: the router's P(correct).
        matrix: outcomes.
        new: candidates that the router was not trained on.

    Raises:
        ZooError: a new candidate is not in the zoo.
    """
    unknown = [name for name in new if name not in matrix.candidates]
    if unknown:
        raise ZooError(
            f"new candidates {', '.join(unknown)} are not in the zoo of "
            f"{', '.join(matrix.candidates)}"
        )
    cause = "the core tasks miss their strengths: widen the aptitude test"
    is_new_M = np.array([name in new for name in matrix.candidates])
    known_auc = _mean_auc(probabilities_QM[:, ~is_new_M], matrix.correct_QM[:, ~is_new_M])
    new_auc = _mean_auc(probabilities_QM[:, is_new_M], matrix.correct_QM[:, is_new_M])
    name = "new candidates routed badly"
    if known_auc is None or new_auc is None:
        finding = "needs new and known candidates, each with right and wrong answers"
        return Sign(name, None, MAX_AUC_DROP, None, finding, cause)
    drop = 1 - new_auc / known_auc
    return Sign(
        name,
        drop,
        MAX_AUC_DROP,
        drop > MAX_AUC_DROP,
        f"mean AUC per candidate {new_auc:.3f} for new, {known_auc:.3f} for known candidates",
        cause,
    )


def diverse(strengths_MT: Floats, most: int) -> list[int]:
    """Select diverse rows by farthest-point sampling, starting with the longest row."""
    chosen = [int(np.linalg.norm(strengths_MT, axis=1).argmax())]
    while len(chosen) < min(most, len(strengths_MT)):
        distance_MC = np.linalg.norm(strengths_MT[:, None] - strengths_MT[None, chosen], axis=-1)
        chosen.append(int(distance_MC.min(axis=1).argmax()))
    return chosen


def _strengths(values_MT: Floats) -> Floats:
    centred_MT = values_MT - values_MT.mean(axis=1, keepdims=True)
    return np.asarray(centred_MT - centred_MT.mean(axis=0, keepdims=True), dtype=np.float32)


def _correlation(one: Floats, other: Floats) -> float:
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / lengths if lengths else 0.0


def _mean_auc(probabilities_QM: Floats, correct_QM: Floats) -> float | None:
    per_candidate = [
        cell_auc(probabilities_Q, correct_Q)
        for probabilities_Q, correct_Q in zip(probabilities_QM.T, correct_QM.T, strict=True)
    ]
    known = [auc for auc in per_candidate if auc is not None]
    return float(np.mean(known)) if known else None
