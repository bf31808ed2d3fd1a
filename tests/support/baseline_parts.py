"""Small questions with embeddings, and outcomes with gaps, for the tests of the baselines."""

from dataclasses import replace

import numpy as np

from modelsat.evaluation.baselines.learner import Questions
from tests.support.router_parts import TOPICS, make_matrix

WIDTH = 6


def embeddings_for(matrix, seed=0):
    """One direction per topic, with noise, unit length."""
    rng = np.random.default_rng(seed)
    centres = np.eye(len(TOPICS), WIDTH)
    rows = centres[[TOPICS.index(task) for task in matrix.tasks]]
    rows = rows + rng.normal(0, 0.15, (len(matrix), WIDTH))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def noisy_matrix(per_topic=30, share_wrong=0.2, share_unknown=0.2, seed=0):
    """The toy matrix with some outcomes turned round and some unknown."""
    matrix = make_matrix(per_topic)
    rng = np.random.default_rng(seed)
    correct = matrix.correct_QM.copy()
    turned = rng.random(correct.shape) < share_wrong
    correct[turned] = 1 - correct[turned]
    correct[rng.random(correct.shape) < share_unknown] = np.nan
    return replace(matrix, correct_QM=correct)


def asked(matrix, seed=1):
    """The matrix's questions, as a baseline sees them."""
    return Questions(embeddings_for(matrix, seed), matrix.tasks)
