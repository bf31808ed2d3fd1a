"""Accuracy that the router gains on zoos over the best single candidate and over baselines.

Shapes: Q questions, M candidates.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelsat.evaluation.metrics import (
    Interval,
    cell_auc,
    expected_calibration_error,
    pair_accuracy,
    paired_bootstrap,
)
from modelsat.outcomes.matrix import Floats
from tests.benchmarks.quality.auc_gain import auc_gain
from tests.benchmarks.quality.predictions import ROUTER, Predictions, pooled
from tests.benchmarks.quality.zoos import ZooSetups

BEST_SINGLE = "best_single"


@dataclass(frozen=True)
class ZooFigures:
    """Figures of one zoo.

    Attributes:
        name: name of the zoo.
        num_candidates: its size.
        is_close: whether its best candidate leads by little.
        accuracy: share correct of each predictor's choices, of uniform random choice (``random``)
            and of the best choice in hindsight (``oracle``).
        gain: accuracy of the router less that of the best single candidate.
        best_baseline: the most accurate predictor except router and best single.
        gain_over_baseline: accuracy of the router less that of ``best_baseline``.
    """

    name: str
    num_candidates: int
    is_close: bool
    accuracy: Mapping[str, float]
    gain: Interval
    best_baseline: str
    gain_over_baseline: Interval


@dataclass(frozen=True)
class Pooled:
    """Mean figures of several zoos: each question counts with its mean over the zoos.

    Attributes:
        zoos: names of the zoos.
        gains: mean accuracy less that of the best single candidate, of router and baselines.
        over_best_baseline: mean accuracy of the router less that of the best baseline.
    """

    zoos: tuple[str, ...]
    gains: Mapping[str, Interval]
    over_best_baseline: Interval

    @property
    def router(self) -> Interval:
        """The router's gain."""
        return self.gains[ROUTER]

    @property
    def best_baseline(self) -> tuple[str, Interval]:
        """The baseline with the greatest gain, and its gain."""
        best = _best_baseline(self.gains)
        return best, self.gains[best]


@dataclass(frozen=True)
class Discrimination:
    """Ranking figures of one predictor over all cells of a slice.

    Attributes:
        auc: AUC over the cells of all folds together.
        auc_by_fold: AUC over the cells of each fold.
        pair_accuracy: share of pairs of candidates, one right and one wrong on the same question,
            that are ordered correctly.
    """

    auc: float | None
    auc_by_fold: tuple[float | None, ...]
    pair_accuracy: float | None


def discrimination(parts: Sequence[Predictions]) -> dict[str, Discrimination]:
    """Return how well each predictor separates right from wrong answers, by name.

    Args:
        parts: predictions on each fold's test questions.
    """
    whole = pooled(parts)
    return {
        name: Discrimination(
            cell_auc(scores_QM, whole.correct_QM),
            tuple(cell_auc(part.scores[name], part.correct_QM) for part in parts),
            pair_accuracy(scores_QM, whole.correct_QM),
        )
        for name, scores_QM in whole.scores.items()
    }


def best_auc(figures: Mapping[str, Discrimination]) -> str:
    """Return the baseline with the largest AUC over all cells."""
    others = [name for name in figures if name != ROUTER]
    return max(others, key=lambda name: figures[name].auc or 0.0)


def auc_lead(predictions: Predictions, baseline: str) -> Interval:
    """Return the router's AUC over all cells less that of a baseline."""
    scores = predictions.scores
    return auc_gain(scores[ROUTER], scores[baseline], predictions.correct_QM)


def zoo_figures(predictions: Predictions, setups: ZooSetups) -> list[ZooFigures]:
    """Return the figures of every zoo of a slice, in the order of the set-ups."""
    return [
        _one_zoo(name, predictions.of(members), is_close=name in setups.close)
        for name, members in setups.zoos.items()
        if members is not None
    ]


def pooled_gains(predictions: Predictions, setups: ZooSetups, zoos: Iterable[str]) -> Pooled:
    """Return mean gains of router and baselines over some zoos."""
    names = tuple(zoos)
    members = [setups.zoos[name] or predictions.candidates for name in names]
    correct = {
        predictor: _mean_correct(predictions, members, predictor)
        for predictor in predictions.scores
    }
    gains = {
        predictor: paired_bootstrap(correct_Q, correct[BEST_SINGLE])
        for predictor, correct_Q in correct.items()
        if predictor != BEST_SINGLE
    }
    best = correct[_best_baseline(gains)]
    return Pooled(names, gains, paired_bootstrap(correct[ROUTER], best))


def calibration_errors(
    probabilities_QM: Floats, predictions: Predictions
) -> tuple[float, dict[str, float]]:
    """Return the expected calibration error over all cells, and of each candidate alone."""
    correct_QM = predictions.correct_QM
    by_candidate = {
        name: expected_calibration_error(probabilities_QM[:, m], correct_QM[:, m])
        for m, name in enumerate(predictions.candidates)
    }
    return expected_calibration_error(probabilities_QM, correct_QM), by_candidate


def _one_zoo(name: str, zoo: Predictions, *, is_close: bool) -> ZooFigures:
    chosen = {predictor: zoo.chosen_correct(predictor) for predictor in zoo.scores}
    accuracy = {predictor: float(correct_Q.mean()) for predictor, correct_Q in chosen.items()}
    others = {p: value for p, value in accuracy.items() if p not in (ROUTER, BEST_SINGLE)}
    best = max(others, key=lambda predictor: others[predictor])
    return ZooFigures(
        name=name,
        num_candidates=len(zoo.candidates),
        is_close=is_close,
        accuracy={
            "random": float(zoo.correct_QM.mean()),
            **accuracy,
            "oracle": float(zoo.correct_QM.max(axis=1).mean()),
        },
        gain=paired_bootstrap(chosen[ROUTER], chosen[BEST_SINGLE]),
        best_baseline=best,
        gain_over_baseline=paired_bootstrap(chosen[ROUTER], chosen[best]),
    )


def _best_baseline(gains: Mapping[str, Interval]) -> str:
    others = [name for name in gains if name != ROUTER]
    return max(others, key=lambda name: gains[name].difference)


def _mean_correct(
    predictions: Predictions, zoos: Sequence[Sequence[str]], predictor: str
) -> Floats:
    each = [predictions.of(members).chosen_correct(predictor) for members in zoos]
    return np.asarray(np.mean(each, axis=0), dtype=np.float32)
