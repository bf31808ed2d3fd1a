"""Success rates among similar training questions: nearest neighbours and clusters.

Shapes: Q questions, M candidates, E embedding width, G clusters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from modelsat.capability.cards import Card
from modelsat.evaluation.baselines.groups import (
    STRENGTHS,
    Doubles,
    candidate_rates,
    group_counts,
    group_scores,
)
from modelsat.evaluation.baselines.learner import (
    SEED,
    Learner,
    Predictor,
    Questions,
    columns_of,
)
from modelsat.outcomes.matrix import Floats, OutcomeMatrix


@dataclass(frozen=True)
class Neighbours:
    """Nearest training questions by cosine similarity, with their known outcomes."""

    index: Any
    training: OutcomeMatrix
    strength: float

    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Return the shrunk success rate of each candidate among the neighbours, [Q, M]."""
        columns = columns_of(self.training.candidates, cards)
        correct_QM = self.training.correct_QM
        graph = self.index.kneighbors_graph(questions.embeddings_QE)
        totals_QM = graph @ np.nan_to_num(correct_QM).astype(np.float64)
        known_QM = graph @ (~np.isnan(correct_QM)).astype(np.float64)
        rates_QM = group_scores(totals_QM, known_QM, candidate_rates(correct_QM), self.strength)
        return rates_QM[:, columns].astype(np.float32)


def fit_neighbours(
    training: OutcomeMatrix, embeddings_QE: Floats, *, num_neighbours: int, strength: float
) -> Predictor:
    """Index the training questions; limits ``num_neighbours`` to their number."""
    num_neighbours = min(num_neighbours, len(training))
    index = NearestNeighbors(n_neighbors=num_neighbours, metric="cosine", algorithm="brute")
    return Neighbours(index.fit(embeddings_QE), training, strength)


@dataclass(frozen=True)
class Clusters:
    """Clusters of training questions, each with its candidates' rates [G, M]."""

    clustering: Any
    candidates: tuple[str, ...]
    rates_GM: Doubles

    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Return the shrunk success rate of each candidate in the question's cluster, [Q, M]."""
        columns = columns_of(self.candidates, cards)
        cluster_Q = self.clustering.predict(normalize(questions.embeddings_QE))
        return np.asarray(self.rates_GM[cluster_Q][:, columns], dtype=np.float32)


def fit_clusters(
    training: OutcomeMatrix, embeddings_QE: Floats, *, num_clusters: int, strength: float
) -> Predictor:
    """Cluster unit vectors by k-means; limits ``num_clusters`` to the number of questions."""
    num_clusters = min(num_clusters, len(training))
    clustering = KMeans(num_clusters, n_init=1, random_state=SEED).fit(normalize(embeddings_QE))
    totals_GM, known_GM = group_counts(clustering.labels_, training.correct_QM, num_clusters)
    rates_GM = group_scores(totals_GM, known_GM, candidate_rates(training.correct_QM), strength)
    return Clusters(clustering, training.candidates, rates_GM)


NEIGHBOURS = Learner(
    "knn",
    "success rate among the nearest training questions, shrunk",
    fit_neighbours,
    {"num_neighbours": (25, 50, 100, 200, 400), "strength": STRENGTHS},
)
CLUSTERS = Learner(
    "kmeans",
    "success rate in the question's cluster of training questions, shrunk (after Avengers)",
    fit_clusters,
    {"num_clusters": (8, 16, 32, 64, 128), "strength": STRENGTHS},
)
