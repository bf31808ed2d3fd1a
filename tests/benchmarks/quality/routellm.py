"""RouteLLM side by side: its pair, its protocol, its published figures.

Shapes: Q questions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modelsat.capability.cards import build_cards
from modelsat.evaluation.baselines.groups import TASK_MEAN_SHRUNK
from modelsat.evaluation.baselines.learner import Learner, Questions
from modelsat.evaluation.baselines.regression import RIDGE
from modelsat.evaluation.baselines.tuning import Embed, tune
from modelsat.evaluation.metrics import CONFIDENCE, Interval
from modelsat.outcomes.matrix import Floats, OutcomeMatrix
from modelsat.outcomes.splits import fold_of
from modelsat.quality.guests import GSM8K, PAIR_TEST, STRONG, WEAK, Guests
from tests.benchmarks.quality.escalation import Escalation, escalation
from tests.benchmarks.quality.experiments import (
    NUM_FOLDS,
    Laboratory,
    TrainedRouter,
    predicted_by_router,
)
from tests.benchmarks.quality.predictions import Predictions, pooled

_NUM_RESAMPLES = 500  # of the questions; the interval's ends then move by about .005
LENGTH = "question_length"
GSM8K_UNLABELLED = "gsm8k, no GSM8K label"
GSM8K_FIVE_FOLD = "gsm8k, five-fold labels"
MMLU_FIVE_FOLD = "mmlu, five-fold"


@dataclass(frozen=True)
class Published:
    """A row of RouteLLM's tables 2 and 3 (arXiv 2406.18665): CPT(50 %), CPT(80 %), APGR."""

    name: str
    cpt50: float
    cpt80: float
    apgr: float


PUBLISHED = {
    "gsm8k": (
        Published("random", 0.5000, 0.8008, 0.497),
        Published("BERT", 0.4476, 0.7909, 0.531),
        Published("causal LLM", 0.3364, 0.6326, 0.622),
        Published("matrix factorisation", 0.3882, 0.7262, 0.565),
        Published("similarity-weighted", 0.4121, 0.7220, 0.568),
    ),
    "mmlu": (
        Published("random", 0.5007, 0.7993, 0.500),
        Published("BERT", 0.4130, 0.7220, 0.572),
        Published("causal LLM", 0.3549, 0.7031, 0.600),
        Published("matrix factorisation", 0.3546, 0.7140, 0.597),
        Published("similarity-weighted", 0.3540, 0.7155, 0.603),
    ),
}


@dataclass(frozen=True)
class EscalationRow:
    """One score judged by the protocol.

    Attributes:
        name: of the score.
        curve: accuracy by share of strong calls, with its figures.
        apgr_interval: bootstrap interval of the APGR over questions; resamples in which the strong
            candidate is not the better one are left out.
        apgr_by_gain: APGR of the other way to make a score of two probabilities, their difference;
            None for a score that is none.
    """

    name: str
    curve: Escalation
    apgr_interval: Interval
    apgr_by_gain: float | None


def side_by_side(
    laboratory: Laboratory,
    pair: Guests,
    folds: Sequence[TrainedRouter],
    unlabelled: TrainedRouter,
) -> dict[str, list[EscalationRow]]:
    """The pair on GSM8K without and with its labels, and on MMLU; rows by setting.

    Args:
        laboratory: what all experiments share.
        pair: the two candidates' outcomes; they have sat the routers' aptitude test.
        folds: routers that learned from the pair's other folds of GSM8K, one a fold.
        unlabelled: a router that learned from no GSM8K.
    """
    settings = {MMLU_FIVE_FOLD: _five_fold(laboratory, pair, folds, "mmlu")}
    if pair.answered(GSM8K):
        matrix = _matrix(pair, unlabelled, GSM8K)
        router = predicted_by_router(unlabelled, matrix, f"routellm-{GSM8K}", laboratory.echo)
        settings[GSM8K_UNLABELLED] = with_length(router, matrix)
        settings[GSM8K_FIVE_FOLD] = _five_fold(laboratory, pair, folds, GSM8K)
    made = {}
    for setting in (GSM8K_UNLABELLED, GSM8K_FIVE_FOLD, MMLU_FIVE_FOLD):
        if setting not in settings:
            continue
        strong, weak = settings[setting].of((STRONG, WEAK)).correct_QM.mean(axis=0)
        if strong > weak:
            made[setting] = escalation_rows(settings[setting])
        else:
            laboratory.echo(f"RouteLLM, {setting}: left out, {STRONG} is no better than {WEAK}")
    return made


def escalation_rows(predictions: Predictions) -> list[EscalationRow]:
    """Every predictor's score by the protocol: how much a question calls for the strong candidate.

    Of two probabilities it is that of the strong candidate being right and the weak one wrong, as
    if these were independent: without labels a small difference of two probabilities is mostly
    noise (docs/experiments.md). What the difference gives stands beside it.

    Args:
        predictions: of the pair. The number of words stands in the strong candidate's column, with
            zeros in the other.
    """
    pair = predictions.of((STRONG, WEAK))
    strong_Q, weak_Q = pair.correct_QM.T
    rows = []
    for name, scores_QM in pair.scores.items():
        difference_Q = scores_QM[:, 0] - scores_QM[:, 1]
        if name == LENGTH:
            rows.append(_row(name, difference_Q, strong_Q, weak_Q, by_gain=None))
            continue
        strong_right_Q, weak_right_Q = np.clip(scores_QM, 0, 1).T
        by_gain = escalation(difference_Q, strong_Q, weak_Q).apgr
        rows.append(
            _row(name, strong_right_Q * (1 - weak_right_Q), strong_Q, weak_Q, by_gain=by_gain)
        )
    return rows


def with_length(predictions: Predictions, matrix: OutcomeMatrix) -> Predictions:
    """The predictions with the number of words as one more score."""
    words_Q = np.array([len(text.split()) for text in matrix.instructions], dtype=np.float32)
    columns = [words_Q if name == STRONG else 0 * words_Q for name in predictions.candidates]
    return predictions.with_scores({LENGTH: np.stack(columns, axis=1)})


def in_domain_baselines(
    matrix: OutcomeMatrix, folds: Sequence[int], embed: Embed, *, by_task: bool
) -> dict[str, Floats]:
    """Baselines that have labels of the same benchmark, each question scored by other folds'.

    Args:
        matrix: questions, and outcomes of the pair.
        folds: test fold of each question.
        embed: embeds instructions.
        by_task: add the lookup by task; a benchmark of one task has none.
    """
    learners = (RIDGE, TASK_MEAN_SHRUNK) if by_task else (RIDGE,)
    embeddings_QE = embed(matrix.instructions)
    return {
        learner.name: _cross_fitted(learner, matrix, np.array(folds), embeddings_QE)
        for learner in learners
    }


def _matrix(pair: Guests, trained: TrainedRouter, benchmark: str) -> OutcomeMatrix:
    cards = build_cards(pair.outcomes, trained.prepared[PAIR_TEST].task_set())
    return pair.matrix(benchmark, cards)


def _five_fold(
    laboratory: Laboratory, pair: Guests, folds: Sequence[TrainedRouter], benchmark: str
) -> Predictions:
    parts = []
    for trained in folds:
        matrix = _matrix(pair, trained, benchmark)
        fold = trained.experiment.fold
        matrix = matrix.rows([i for i, own in enumerate(_folds(matrix)) if own == fold])
        router = predicted_by_router(trained, matrix, f"routellm-{benchmark}", laboratory.echo)
        parts.append(with_length(router, matrix))
    whole = _matrix(pair, folds[0], benchmark)
    by_task = len(set(whole.tasks)) > 1
    others = in_domain_baselines(whole, _folds(whole), laboratory.embed, by_task=by_task)
    row_of = {question: i for i, question in enumerate(whole.question_ids)}
    together = pooled(parts)
    rows = [row_of[question] for question in together.question_ids]
    return together.with_scores({name: scores[rows] for name, scores in others.items()})


def _folds(matrix: OutcomeMatrix) -> list[int]:
    return [fold_of(group, NUM_FOLDS) for group in matrix.groups]


def _cross_fitted(
    learner: Learner, matrix: OutcomeMatrix, fold_Q: np.ndarray, embeddings_QE: Floats
) -> Floats:
    scores_QM = np.zeros_like(matrix.correct_QM)
    for fold in np.unique(fold_Q):
        test = np.flatnonzero(fold_Q == fold)
        training = np.flatnonzero(fold_Q != fold)
        tuned = tune(learner, matrix.rows(training.tolist()), embeddings_QE[training])
        asked = Questions(embeddings_QE[test], tuple(matrix.tasks[i] for i in test))
        scores_QM[test] = tuned.predictor.scores(asked, matrix.cards)
    return scores_QM


def _row(
    name: str, score_Q: Floats, strong_Q: Floats, weak_Q: Floats, *, by_gain: float | None
) -> EscalationRow:
    curve = escalation(score_Q, strong_Q, weak_Q)
    interval = _interval(lambda rows: _apgr(score_Q, strong_Q, weak_Q, rows), len(score_Q))
    return EscalationRow(name, curve, interval, by_gain)


def _apgr(score_Q: Floats, strong_Q: Floats, weak_Q: Floats, rows: np.ndarray) -> float:
    if strong_Q[rows].sum() <= weak_Q[rows].sum():
        return float("nan")  # a resample without a gap to recover says nothing
    return escalation(score_Q[rows], strong_Q[rows], weak_Q[rows]).apgr


def _interval(figure: Callable[[np.ndarray], float], num_questions: int) -> Interval:
    rng = np.random.default_rng(0)
    draws = [figure(rng.integers(num_questions, size=num_questions)) for _ in range(_NUM_RESAMPLES)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return Interval(figure(np.arange(num_questions)), float(low), float(high))
