"""A random forest over (question, candidate) cells, which reads the candidate's card.

Shapes: Q questions, M candidates, T card statements, E embedding width, K nearest tasks, C cells,
F features, P principal components.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.preprocessing import normalize

from modelsat.capability.cards import Card
from modelsat.errors import ZooError
from modelsat.evaluation.baselines.learner import (
    SEED,
    Learner,
    Predictor,
    Questions,
    sampled_cells,
)
from modelsat.evaluation.metrics import Ints
from modelsat.modeling.card_features import card_features, evidence
from modelsat.outcomes.matrix import Floats, OutcomeMatrix

NUM_CELLS = 40_000  # maximum number of training cells; a fit then takes under 30 s on a core
_NUM_NEAREST = 3  # tasks whose statements are used for a question
_NUM_COMPONENTS = 16  # of the embeddings' principal components
_NUM_TREES = 100


@dataclass(frozen=True)
class CellFeatures:
    """Computes features of cells.

    Attributes:
        tasks: names of the cards' T statements, in order.
        centroid_tasks: indices of the tasks that have training questions, hence a centroid.
        centroids: mean embedding of those tasks' training questions, unit length [.., E].
        components: fitted principal components of the embeddings.
    """

    tasks: tuple[str, ...]
    centroid_tasks: Ints
    centroids: Floats
    components: Any

    def of(
        self, embeddings_QE: Floats, cards: Sequence[Card], rows_C: Ints, cards_C: Ints
    ) -> Floats:
        """Return the features [C, F] of cells, each given by its row and its card.

        They are the card's evidence over all tasks and for the nearest tasks, the similarity of
        these tasks, and the embedding's principal components.

        Raises:
            ZooError: the cards have other tasks than the training cards.
        """
        features = card_features(cards)
        if features.tasks != self.tasks:
            raise ZooError(
                "the cards have other tasks than the training cards; profile both on the same "
                "aptitude test"
            )
        overall_M = evidence(features.num_correct_MT.sum(1), features.num_shots_MT.sum(1))
        nearest_QK, similarity_QK = self._nearest(embeddings_QE)
        return np.column_stack(
            [
                overall_M[cards_C],
                features.weights_MT[cards_C[:, None], nearest_QK[rows_C]],
                similarity_QK[rows_C],
                self.components.transform(embeddings_QE)[rows_C],
            ]
        ).astype(np.float32)

    def _nearest(self, embeddings_QE: Floats) -> tuple[Ints, Floats]:
        similarity = normalize(embeddings_QE) @ self.centroids.T
        nearest_QK = np.argsort(-similarity, axis=1, kind="stable")[:, :_NUM_NEAREST]
        similarity_QK = np.take_along_axis(similarity, nearest_QK, axis=1)
        return self.centroid_tasks[nearest_QK], similarity_QK


@dataclass(frozen=True)
class Forest:
    """A fitted forest; any candidate with a card can be scored."""

    trees: Any
    features: CellFeatures

    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Predicted outcome of each candidate on each question, [Q, M]."""
        shape = (len(questions.embeddings_QE), len(cards))
        rows_C, cards_C = (cells.ravel() for cells in np.indices(shape))
        features_CF = self.features.of(questions.embeddings_QE, cards, rows_C, cards_C)
        return np.asarray(self.trees.predict(features_CF).reshape(shape), dtype=np.float32)


def fit_forest(training: OutcomeMatrix, embeddings_QE: Floats, *, min_cells: int) -> Predictor:
    """Fit a forest on the known cells, or a seeded sample of them.

    Args:
        training: outcomes and the candidates' cards.
        embeddings_QE: embeddings of its instructions.
        min_cells: minimum number of cells in a leaf.
    """
    features = _cell_features(training, embeddings_QE)
    rows_C, cards_C = sampled_cells(training, NUM_CELLS)
    features_CF = features.of(embeddings_QE, training.cards, rows_C, cards_C)
    trees = RandomForestRegressor(
        _NUM_TREES, min_samples_leaf=min_cells, max_features=1 / 3, random_state=SEED
    )
    return Forest(trees.fit(features_CF, training.correct_QM[rows_C, cards_C]), features)


def _cell_features(training: OutcomeMatrix, embeddings_QE: Floats) -> CellFeatures:
    tasks = card_features(training.cards).tasks
    task_Q = np.array(training.tasks)
    known = [t for t, task in enumerate(tasks) if (task_Q == task).any()]
    centroids = [normalize(embeddings_QE)[task_Q == tasks[t]].mean(axis=0) for t in known]
    stacked = np.array(centroids, dtype=np.float32).reshape(len(known), embeddings_QE.shape[1])
    return CellFeatures(
        tasks,
        np.array(known, dtype=np.int64),
        normalize(stacked) if known else stacked,
        PCA(min(_NUM_COMPONENTS, *embeddings_QE.shape), random_state=SEED).fit(embeddings_QE),
    )


FOREST = Learner(
    "random_forest",
    f"{_NUM_TREES} trees over (question, candidate) cells, at most {NUM_CELLS}: the card's "
    "evidence over all tasks and for the nearest tasks, and the embedding's principal components",
    fit_forest,
    {"min_cells": (40, 160, 640)},
    reads_cards=True,
)
