"""Regression of outcomes on the instruction's embedding: ridge and multilayer perceptron.

Shapes: Q questions, M candidates, E embedding width.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor

from modelsat.capability.cards import Card
from modelsat.evaluation.baselines.groups import (
    Doubles,
    candidate_rates,
    expected_rates,
    group_offsets,
)
from modelsat.evaluation.baselines.learner import (
    SEED,
    Learner,
    Predictor,
    Questions,
    columns_of,
)
from modelsat.outcomes.matrix import Floats, OutcomeMatrix

_MAX_EPOCHS = 200  # with thousands of questions early stopping needs only dozens


@dataclass(frozen=True)
class Linear:
    """A linear function of the embedding per candidate."""

    candidates: tuple[str, ...]
    weights_ME: Doubles
    intercepts_M: Doubles

    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Predict the outcome of each candidate on each question, [Q, M]; not limited to 0..1."""
        columns = columns_of(self.candidates, cards)
        scores_QM = questions.embeddings_QE @ self.weights_ME[columns].T
        return (scores_QM + self.intercepts_M[columns]).astype(np.float32)


def fit_ridge(training: OutcomeMatrix, embeddings_QE: Floats, *, alpha: float) -> Predictor:
    """Fit each candidate on the questions it answered; candidates without any get a mean."""
    known_QM = ~np.isnan(training.correct_QM)
    weights_ME = np.zeros((known_QM.shape[1], embeddings_QE.shape[1]))
    intercepts_M = candidate_rates(training.correct_QM)
    # Candidates that answered the same questions share one factorisation.
    patterns_QP, pattern_M = np.unique(known_QM, axis=1, return_inverse=True)
    for p, rows in enumerate(patterns_QP.T):
        columns = np.flatnonzero(pattern_M.ravel() == p)
        if not rows.any():
            continue
        targets = training.correct_QM[np.ix_(rows, columns)]
        ridge = Ridge(alpha=alpha).fit(embeddings_QE[rows], targets)
        weights_ME[columns] = ridge.coef_.reshape(len(columns), -1)
        intercepts_M[columns] = ridge.intercept_
    return Linear(training.candidates, weights_ME, intercepts_M)


@dataclass(frozen=True)
class Perceptron:
    """A network with one output per candidate."""

    network: Any
    candidates: tuple[str, ...]

    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Predict the outcome of each candidate on each question, [Q, M]; not limited to 0..1."""
        columns = columns_of(self.candidates, cards)
        scores_QM = self.network.predict(questions.embeddings_QE)
        scores_QM = scores_QM.reshape(-1, len(self.candidates))[:, columns]
        return np.asarray(scores_QM, dtype=np.float32)


def fit_perceptron(
    training: OutcomeMatrix, embeddings_QE: Floats, *, hidden_width: int, alpha: float
) -> Predictor:
    """Fit by squared loss with early stopping on a tenth of the training questions.

    The network needs every target, so unknown outcomes are imputed from the candidate's mean and
    the other candidates' outcomes on the question.
    """
    network = MLPRegressor(
        hidden_layer_sizes=(hidden_width,),
        alpha=alpha,
        early_stopping=True,
        max_iter=_MAX_EPOCHS,
        random_state=SEED,
    )
    targets_QM = filled_outcomes(training.correct_QM)
    if targets_QM.shape[1] == 1:
        targets_QM = targets_QM[:, 0]
    with warnings.catch_warnings():
        # A network stopped by the epoch limit is validated like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(embeddings_QE, targets_QM)
    return Perceptron(network, training.candidates)


def filled_outcomes(correct_QM: Floats) -> Floats:
    """Impute unknown outcomes from candidate and question effects, added as log-odds."""
    known_QM = ~np.isnan(correct_QM)
    rates_M = candidate_rates(correct_QM)
    totals_QM = np.nan_to_num(correct_QM).astype(np.float64)
    offsets_Q = group_offsets(totals_QM, known_QM.astype(np.float64), rates_M)
    filled_QM = np.where(known_QM, correct_QM, expected_rates(offsets_Q, rates_M))
    return filled_QM.astype(np.float32)


RIDGE = Learner(
    "ridge",
    "ridge regression of each candidate's outcome on the embedding",
    fit_ridge,
    {"alpha": (1.0, 3.0, 10.0, 30.0, 100.0)},
)
PERCEPTRON = Learner(
    "mlp",
    "one hidden layer on the embedding, one output per candidate; unknown outcomes imputed by "
    "their expectation",
    fit_perceptron,
    {"hidden_width": (64, 256), "alpha": (0.1, 1.0, 10.0)},
)
