"""Shrunk success rates within groups of questions, and the baselines given each question's task.

A group is a task, a cluster or a neighbourhood. With few answers a group's rate is unreliable, so
it is shrunk towards the rate expected from the candidate's overall rate and the group's difficulty.

Shapes: Q questions, M candidates, G groups, T card statements.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelsat.capability.cards import Card
from modelsat.evaluation.baselines.learner import Learner, Predictor, Questions, columns_of
from modelsat.evaluation.metrics import Ints
from modelsat.modeling.card_features import card_features
from modelsat.outcomes.matrix import Floats, OutcomeMatrix

Doubles = npt.NDArray[np.float64]

STRENGTHS = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)  # grid: prior strength in answers
# Difficulties differ more between groups than candidates' ranks within them, and are estimated
# from all candidates' answers: a prior worth a single question is enough.
_OFFSET_QUESTIONS = 1.0
_LEAST_RATE = 1e-3  # rates are clipped to 0.001..0.999 before log-odds are taken


def candidate_rates(correct_QM: Floats) -> Doubles:
    """Success rate [M] over known cells; candidates without any get the rate over all cells."""
    known_QM = ~np.isnan(correct_QM)
    totals_M = np.nansum(correct_QM, axis=0, dtype=np.float64)
    overall = totals_M.sum() / known_QM.sum()
    num_known_M = known_QM.sum(axis=0)
    return np.where(num_known_M > 0, totals_M / np.maximum(num_known_M, 1), overall)


def group_counts(groups_Q: Ints, correct_QM: Floats, num_groups: int) -> tuple[Doubles, Doubles]:
    """Sum of outcomes and number of known outcomes per group and candidate, each [G, M]."""
    shape = (num_groups, correct_QM.shape[1])
    totals_GM, known_GM = np.zeros(shape), np.zeros(shape)
    np.add.at(totals_GM, groups_Q, np.nan_to_num(correct_QM))
    np.add.at(known_GM, groups_Q, ~np.isnan(correct_QM))
    return totals_GM, known_GM


def group_offsets(totals_GM: Doubles, known_GM: Doubles, rates_M: Doubles) -> Doubles:
    """How much easier a group is than its candidates' overall rates predict, log-odds [G]."""
    expected_G = known_GM @ rates_M
    prior = _OFFSET_QUESTIONS * len(rates_M)
    overall = float(rates_M.mean())
    num_known_G = known_GM.sum(axis=1)
    observed_G = (totals_GM.sum(axis=1) + prior * overall) / (num_known_G + prior)
    return _log_odds(observed_G) - _log_odds((expected_G + prior * overall) / (num_known_G + prior))


def expected_rates(offsets_G: Doubles, rates_M: Doubles) -> Doubles:
    """Rates [G, M] predicted by difficulty and candidate, added on the log-odds scale."""
    return 1 / (1 + np.exp(-offsets_G[:, None] - _log_odds(rates_M)))


def shrink(totals: Doubles, known: Doubles, expected: Doubles, strength: float) -> Doubles:
    """Posterior mean of a rate whose Beta prior is worth ``strength`` answers.

    Without outcomes it is the prior mean.

    Args:
        totals: sums of outcomes, of any shape.
        known: numbers of outcomes, same shape.
        expected: prior mean, same shape or broadcast.
        strength: sum of the prior's two parameters, at least 0.
    """
    weight = known + strength
    shrunk = (totals + strength * expected) / np.maximum(weight, np.finfo(np.float64).tiny)
    return np.where(weight > 0, shrunk, expected)


def group_scores(
    totals_GM: Doubles, known_GM: Doubles, rates_M: Doubles, strength: float
) -> Doubles:
    """Return shrunk rates [G, M] of the candidates within each group."""
    offsets_G = group_offsets(totals_GM, known_GM, rates_M)
    return shrink(totals_GM, known_GM, expected_rates(offsets_G, rates_M), strength)


@dataclass(frozen=True)
class TaskRates:
    """Rates of the training candidates by task; unknown tasks use the candidates' overall rates."""

    candidates: tuple[str, ...]
    rates: dict[str, Doubles]
    overall_M: Doubles

    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Return the rate of each candidate on each question's task, [Q, M]."""
        columns = columns_of(self.candidates, cards)
        rows = [self.rates.get(task, self.overall_M) for task in questions.tasks]
        return np.array(rows, dtype=np.float32)[:, columns]


def fit_task_rates(training: OutcomeMatrix, embeddings_QE: Floats, *, strength: float) -> Predictor:
    """Fit shrunk mean training outcomes by task and candidate; ignores the embeddings."""
    tasks = sorted(set(training.tasks))
    group_of = {task: g for g, task in enumerate(tasks)}
    groups_Q = np.array([group_of[task] for task in training.tasks])
    totals_GM, known_GM = group_counts(groups_Q, training.correct_QM, len(tasks))
    overall_M = candidate_rates(training.correct_QM)
    rates_GM = group_scores(totals_GM, known_GM, overall_M, strength)
    return TaskRates(training.candidates, dict(zip(tasks, rates_GM, strict=True)), overall_M)


@dataclass(frozen=True)
class CardRates:
    """Shrunk rates from cards; any candidate with a card can be scored.

    Attributes:
        offsets: difficulty of each statement's task, log-odds; 0 for tasks not in it.
        strength: strength of the prior in answers; 0 uses the cards' rates unchanged.
    """

    offsets: dict[str, float]
    strength: float

    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Return each card's rate on each question's task, or its overall rate, [Q, M]."""
        tasks, totals_TM, known_TM, overall_M = _card_counts(cards)
        offsets_T = np.array([self.offsets.get(task, 0.0) for task in tasks])
        expected_TM = expected_rates(offsets_T, overall_M)
        rates_TM = shrink(totals_TM, known_TM, expected_TM, self.strength)
        rates = dict(zip(tasks, rates_TM, strict=True))
        rows = [rates.get(task, overall_M) for task in questions.tasks]
        return np.array(rows, dtype=np.float32)


def fit_card_rates(training: OutcomeMatrix, embeddings_QE: Floats, *, strength: float) -> Predictor:
    """Fit the difficulty of each task from the training cards; ignores outcomes and embeddings."""
    tasks, totals_TM, known_TM, overall_M = _card_counts(training.cards)
    offsets_T = group_offsets(totals_TM, known_TM, overall_M)
    return CardRates(dict(zip(tasks, offsets_T.tolist(), strict=True)), strength)


def _card_counts(cards: Sequence[Card]) -> tuple[tuple[str, ...], Doubles, Doubles, Doubles]:
    """Tasks, correct answers and shots of each card by task, and overall accuracy."""
    features = card_features(cards)
    overall_M = np.array([card.accuracy_fraction for card in cards])
    totals_TM = features.num_correct_MT.T.astype(np.float64)
    known_TM = features.num_shots_MT.T.astype(np.float64)
    return features.tasks, totals_TM, known_TM, overall_M


def _log_odds(rates: Doubles) -> Doubles:
    clipped = np.clip(rates, _LEAST_RATE, 1 - _LEAST_RATE)
    return np.log(clipped / (1 - clipped))


CARD_LOOKUP_SHRUNK = Learner(
    "card_lookup_shrunk",
    "given the task; its card statement, shrunk towards the card's mean and the task's difficulty",
    fit_card_rates,
    {"strength": STRENGTHS},
    reads_cards=True,
)
TASK_MEAN_SHRUNK = Learner(
    "task_mean_shrunk",
    "given the task; mean training outcome, shrunk towards the candidate's and the task's means",
    fit_task_rates,
    {"strength": STRENGTHS},
)
