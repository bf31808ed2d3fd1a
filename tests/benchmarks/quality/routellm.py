"""Comparison with RouteLLM: its pair of candidates, its protocol, its published figures.

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
from modelsat.preparation.recipe import SharedTest
from modelsat.preparation.tables import ZooTables
from tests.benchmarks.quality.escalation import Escalation, escalation
from tests.benchmarks.quality.predictions import Predictions, complete_matrix, pooled
from tests.benchmarks.quality.routers import NUM_FOLDS, TrainedRouter, router_predictions
from tests.benchmarks.quality.runner import BenchmarkRunner
from tests.support.folds import fold_of

# Candidates of RouteLLM (arXiv 2406.18665, section 5), and the zoo of the recipe that holds them.
STRONG, WEAK = "gpt-4-1106-preview", "Mixtral-8x7B-Instruct-v0.1"
ROUTELLM_ZOO = "routellm"
GSM8K = "gsm8k"

_NUM_RESAMPLES = 500  # bootstrap; the ends of an interval then vary by about .005
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
    """Figures of one score by the protocol.

    Attributes:
        name: name of the score.
        curve: accuracy by share of strong calls, with its figures.
        apgr_interval: bootstrap interval of the APGR over questions; resamples in which the strong
            candidate is not better than the weak one are left out.
        apgr_by_gain: APGR of the difference of the two probabilities used as the score; None for
            a score that is not made of probabilities.
    """

    name: str
    curve: Escalation
    apgr_interval: Interval
    apgr_by_gain: float | None


def compare_with_routellm(
    runner: BenchmarkRunner,
    pair: ZooTables,
    folds: Sequence[TrainedRouter],
    unlabelled: TrainedRouter,
) -> dict[str, list[EscalationRow]]:
    """Compare on GSM8K, without and with labels of it, and on MMLU; rows by setting.

    Args:
        runner: trains and predicts.
        pair: outcomes of the two candidates, those on the routers' aptitude test among them.
        folds: one router per fold, trained on the pair's outcomes on GSM8K in the other folds.
        unlabelled: a router that was not trained on GSM8K.
    """
    settings = {MMLU_FIVE_FOLD: _five_fold(runner, pair, folds, pair.test_benchmark)}
    if pair.answered_questions(GSM8K).num_rows:
        matrix = _matrix(pair, unlabelled, GSM8K)
        router = router_predictions(unlabelled, matrix, f"routellm-{GSM8K}", runner.echo)
        settings[GSM8K_UNLABELLED] = with_length(router, matrix)
        settings[GSM8K_FIVE_FOLD] = _five_fold(runner, pair, folds, GSM8K)
    made = {}
    for setting in (GSM8K_UNLABELLED, GSM8K_FIVE_FOLD, MMLU_FIVE_FOLD):
        if setting not in settings:
            continue
        strong, weak = settings[setting].of((STRONG, WEAK)).correct_QM.mean(axis=0)
        if strong > weak:
            made[setting] = escalation_rows(settings[setting])
        else:
            runner.echo(f"RouteLLM, {setting}: left out, as {STRONG} is no better than {WEAK}")
    return made


def escalation_rows(predictions: Predictions) -> list[EscalationRow]:
    """Return the figures of every predictor's score by the protocol.

    The score of a question is P(strong right) x P(weak wrong), as if these were independent:
    without labels a small difference of two probabilities is mostly noise (docs/experiments.md).
    The APGR of the difference is in :attr:`EscalationRow.apgr_by_gain`.

    Args:
        predictions: predictions for the pair. The number of words is in the strong candidate's
            column, with zeros in the other.
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
    """Return the predictions with the number of words as an additional score."""
    words_Q = np.array([len(text.split()) for text in matrix.instructions], dtype=np.float32)
    columns = [words_Q if name == STRONG else 0 * words_Q for name in predictions.candidates]
    return predictions.with_scores({LENGTH: np.stack(columns, axis=1)})


def in_domain_baselines(
    matrix: OutcomeMatrix, folds: Sequence[int], embed: Embed, *, by_task: bool
) -> dict[str, Floats]:
    """Return scores of baselines trained on the other folds of the same benchmark.

    Args:
        matrix: questions, and outcomes of the pair.
        folds: test fold of each question.
        embed: embeds instructions.
        by_task: add the lookup by task, for benchmarks of several tasks.
    """
    learners = (RIDGE, TASK_MEAN_SHRUNK) if by_task else (RIDGE,)
    embeddings_QE = embed(matrix.instructions)
    return {
        learner.name: _cross_fitted(learner, matrix, np.array(folds), embeddings_QE)
        for learner in learners
    }


def _matrix(pair: ZooTables, trained: TrainedRouter, benchmark: str) -> OutcomeMatrix:
    owner = pair.recipe.aptitude_test
    assert isinstance(owner, SharedTest)
    cards = build_cards(pair.outcomes, trained.prepared[owner.zoo].task_set())
    return complete_matrix(pair, benchmark, cards)


def _five_fold(
    runner: BenchmarkRunner, pair: ZooTables, folds: Sequence[TrainedRouter], benchmark: str
) -> Predictions:
    parts = []
    for trained in folds:
        matrix = _matrix(pair, trained, benchmark)
        fold = trained.experiment.fold
        matrix = matrix.rows([i for i, own in enumerate(_folds(matrix)) if own == fold])
        router = router_predictions(trained, matrix, f"routellm-{benchmark}", runner.echo)
        parts.append(with_length(router, matrix))
    whole = _matrix(pair, folds[0], benchmark)
    by_task = len(set(whole.tasks)) > 1
    others = in_domain_baselines(whole, _folds(whole), runner.embed, by_task=by_task)
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
        return float("nan")  # no gap to recover
    return escalation(score_Q[rows], strong_Q[rows], weak_Q[rows]).apgr


def _interval(figure: Callable[[np.ndarray], float], num_questions: int) -> Interval:
    rng = np.random.default_rng(0)
    draws = [figure(rng.integers(num_questions, size=num_questions)) for _ in range(_NUM_RESAMPLES)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return Interval(figure(np.arange(num_questions)), float(low), float(high))
