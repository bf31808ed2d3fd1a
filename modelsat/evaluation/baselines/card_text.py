"""Baseline that reads the card as plain text, without the capability encoder.

Shapes: Q questions, M candidates, E embedding width, C cells, P principal components, S components
of the cards' texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from modelsat.capability.cards import Card
from modelsat.evaluation.baselines.learner import (
    SEED,
    Learner,
    Predictor,
    Questions,
    sampled_cells,
)
from modelsat.outcomes.matrix import Floats, OutcomeMatrix

_NUM_CELLS = 20_000  # maximum number of training cells
_NUM_COMPONENTS = 16  # of the instructions' embeddings and of the cards' texts, each
_NUM_TREES = 50
# Percentages are tokens, and trigrams connect a figure with its task: "35.0% on law".
_WORDS = r"[A-Za-z]+|\d+\.?\d*%?"


@dataclass(frozen=True)
class CardText:
    """A fitted forest over the texts' components; any candidate with a card can be scored."""

    trees: Any
    texts: Any
    instructions: Any

    def scores(self, questions: Questions, cards: Sequence[Card]) -> Floats:
        """Predicted outcome of each candidate on each question, [Q, M]."""
        shape = (len(questions.embeddings_QE), len(cards))
        rows_C, cards_C = (cells.ravel() for cells in np.indices(shape))
        features_CF = self.features(questions.embeddings_QE, cards)(rows_C, cards_C)
        return np.asarray(self.trees.predict(features_CF).reshape(shape), dtype=np.float32)

    def features(self, embeddings_QE: Floats, cards: Sequence[Card]) -> Any:
        """Return a function from the rows and columns of cells to their features."""
        instructions_QP = self.instructions.transform(embeddings_QE)
        texts_MS = self.texts.transform([card.text() for card in cards])
        return lambda rows_C, cards_C: np.hstack([instructions_QP[rows_C], texts_MS[cards_C]])


def fit_card_text(training: OutcomeMatrix, embeddings_QE: Floats, *, min_cells: int) -> Predictor:
    """Fit a forest on the known cells, or a seeded sample of them.

    Args:
        training: outcomes and the candidates' cards.
        embeddings_QE: embeddings of its instructions.
        min_cells: minimum number of cells in a leaf.
    """
    texts = make_pipeline(
        TfidfVectorizer(token_pattern=_WORDS, ngram_range=(1, 3), sublinear_tf=True),
        TruncatedSVD(min(_NUM_COMPONENTS, len(training.cards)), random_state=SEED),
    ).fit([card.text() for card in training.cards])
    components = min(_NUM_COMPONENTS, *embeddings_QE.shape)
    instructions = PCA(components, random_state=SEED).fit(embeddings_QE)
    trees = RandomForestRegressor(
        _NUM_TREES, min_samples_leaf=min_cells, max_features=1 / 3, random_state=SEED
    )
    predictor = CardText(trees, texts, instructions)
    rows_C, cards_C = sampled_cells(training, _NUM_CELLS)
    features_CF = predictor.features(embeddings_QE, training.cards)(rows_C, cards_C)
    trees.fit(features_CF, training.correct_QM[rows_C, cards_C])
    return predictor


CARD_TEXT = Learner(
    "card_text",
    f"{_NUM_TREES} trees over (question, candidate) cells, at most {_NUM_CELLS}: components of the "
    "card's plain text and of the instruction's embedding; the ablation without encoder",
    fit_card_text,
    {"min_cells": (40, 160, 640)},
    reads_cards=True,
)
