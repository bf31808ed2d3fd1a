"""Tune the learned baselines on validation questions from the training data.

Shapes: Q questions, M candidates, E embedding width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from modelsat.errors import ArtifactError
from modelsat.evaluation.baselines.card_text import CARD_TEXT
from modelsat.evaluation.baselines.factorization import FACTORIZATION
from modelsat.evaluation.baselines.forest import FOREST
from modelsat.evaluation.baselines.groups import CARD_LOOKUP_SHRUNK, TASK_MEAN_SHRUNK
from modelsat.evaluation.baselines.learner import (
    SEED,
    Learner,
    Predictor,
    Questions,
    embeddings_of,
)
from modelsat.evaluation.baselines.neighbours import CLUSTERS, NEIGHBOURS
from modelsat.evaluation.baselines.regression import PERCEPTRON, RIDGE
from modelsat.evaluation.baselines.simple import Baseline, Tuning
from modelsat.evaluation.metrics import cell_auc, chosen_correct
from modelsat.modeling.loading import load_encoder
from modelsat.outcomes.matrix import Floats, OutcomeMatrix
from modelsat.outcomes.splits import split_validation
from modelsat.progress import Progress

VALIDATION_FRACTION = 0.2  # of the training questions, for tuning

LEARNERS = (
    CARD_LOOKUP_SHRUNK,
    TASK_MEAN_SHRUNK,
    NEIGHBOURS,
    CLUSTERS,
    RIDGE,
    PERCEPTRON,
    FOREST,
    CARD_TEXT,
    FACTORIZATION,
)

Embed = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True)
class Tuned:
    """A baseline fitted on all training data with the best hyperparameters."""

    predictor: Predictor
    tuning: Tuning


def embedder(source: str, max_tokens: int = 256) -> Embed:
    """Return a function that embeds texts with a sentence-transformers model.

    Args:
        source: hub id or local directory.
        max_tokens: longer texts are truncated; the model's own limit also applies.

    Returns:
        Function from Q texts to unit vectors, float32 [Q, E].

    Raises:
        ArtifactError: the model cannot be loaded.
    """
    model = load_encoder(source)
    limit = model.max_seq_length
    model.max_seq_length = max_tokens if limit is None else min(limit, max_tokens)

    def embed(texts: Sequence[str]) -> Floats:
        embeddings = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(embeddings, dtype=np.float32)

    return embed


def tune(learner: Learner, training: OutcomeMatrix, embeddings_QE: Floats) -> Tuned:
    """Choose hyperparameters by AUC over validation cells, and refit on all training questions.

    Ties go to the first in the grid. Questions of a duplicate group stay on the same side of the
    split.

    Args:
        learner: the baseline and its grid.
        training: outcomes on questions outside the evaluation.
        embeddings_QE: embeddings of its instructions, row by row.

    Raises:
        ArtifactError: too few questions for validation, or all their outcomes are equal.
    """
    part, validation = split_validation(training, VALIDATION_FRACTION, SEED)
    part_embeddings = embeddings_of(part, training, embeddings_QE)
    questions = Questions(embeddings_of(validation, training, embeddings_QE), validation.tasks)
    settings = [
        dict(zip(learner.grid, values, strict=True)) for values in product(*learner.grid.values())
    ]
    aucs = []
    for setting in settings:
        predictor = learner.fit(part, part_embeddings, **setting)
        auc = cell_auc(predictor.scores(questions, validation.cards), validation.correct_QM)
        if auc is None:
            raise ArtifactError(
                f"all outcomes of the {len(validation)} validation questions are equal; tuning "
                "baselines needs right and wrong answers: use more training questions"
            )
        aucs.append(auc)
    best = int(np.argmax(aucs))
    predictor = learner.fit(training, embeddings_QE, **settings[best])
    return Tuned(predictor, Tuning(learner.grid, settings[best], aucs[best]))


def learned_baselines(
    matrix: OutcomeMatrix, training: OutcomeMatrix, embed: Embed
) -> dict[str, Baseline]:
    """Tune and fit all learned baselines on training data; return their results by name.

    Args:
        matrix: the evaluation questions; every candidate answered all of them.
        training: outcomes of the same candidates on other questions.
        embed: embeds instructions.
    """
    embeddings_QE = embed(training.instructions)
    questions = Questions(embed(matrix.instructions), matrix.tasks)
    results = {}
    with Progress("tune baselines", len(LEARNERS), "baselines") as progress:
        for learner in LEARNERS:
            fitted = tune(learner, training, embeddings_QE)
            scores_QM = fitted.predictor.scores(questions, matrix.cards)
            correct_Q = chosen_correct(matrix.correct_QM, scores_QM.argmax(axis=1))
            name, detail = learner.name, f"{learner.detail}; {fitted.tuning.text()}"
            results[name] = Baseline(name, correct_Q, detail, scores_QM, fitted.tuning)
            progress.advance()
    return results
