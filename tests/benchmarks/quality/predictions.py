"""Scores of several predictors for every candidate, on questions with known outcomes.

Shapes: Q questions, M candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from modelsat.artifacts.store import atomic_path
from modelsat.capability.cards import Card
from modelsat.errors import ArtifactError, ZooError
from modelsat.evaluation.evaluate import complete_rows
from modelsat.evaluation.metrics import chosen_correct
from modelsat.outcomes.joining import build_matrix
from modelsat.outcomes.matrix import Floats, OutcomeMatrix
from modelsat.preparation.tables import ZooTables

ROUTER = "router"
_SCORES = "scores/"  # prefix of the scores' names in the file


@dataclass(frozen=True)
class Predictions:
    """Outcomes and scores of the same (question, candidate) cells.

    Attributes:
        question_ids: Q ids.
        tasks: Q task names.
        candidates: M names.
        correct_QM: outcomes 0..1, none missing, float32.
        scores: by predictor, its scores: the higher, the likelier a right answer; float32 [Q, M].
    """

    question_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    candidates: tuple[str, ...]
    correct_QM: Floats
    scores: Mapping[str, Floats]

    def __len__(self) -> int:
        """Number of questions."""
        return len(self.question_ids)

    def of(self, candidates: Sequence[str]) -> "Predictions":
        """Return the predictions for some candidates only, in the order given.

        Raises:
            ZooError: one of them is not among the candidates.
        """
        unknown = [name for name in candidates if name not in self.candidates]
        if unknown:
            raise ZooError(
                f"no predictions for {', '.join(unknown)}; there are some for "
                f"{', '.join(self.candidates)}"
            )
        columns = [self.candidates.index(name) for name in candidates]
        return Predictions(
            self.question_ids,
            self.tasks,
            tuple(candidates),
            self.correct_QM[:, columns],
            {name: scores_QM[:, columns] for name, scores_QM in self.scores.items()},
        )

    def rows(self, is_kept_Q: npt.NDArray[np.bool_]) -> "Predictions":
        """Return the predictions for some questions only."""
        kept = np.flatnonzero(is_kept_Q).tolist()
        return Predictions(
            tuple(self.question_ids[i] for i in kept),
            tuple(self.tasks[i] for i in kept),
            self.candidates,
            self.correct_QM[kept],
            {name: scores_QM[kept] for name, scores_QM in self.scores.items()},
        )

    def with_scores(self, scores: Mapping[str, Floats]) -> "Predictions":
        """Return the predictions with additional predictors."""
        return replace(self, scores={**self.scores, **scores})

    def chosen_correct(self, predictor: str) -> Floats:
        """Return the outcome of the candidate with a predictor's highest score, float32 [Q]."""
        return chosen_correct(self.correct_QM, self.scores[predictor].argmax(axis=1))

    def save(self, path: str | Path) -> None:
        """Write one numpy archive, atomically."""
        arrays = {
            "question_ids": np.array(self.question_ids),
            "tasks": np.array(self.tasks),
            "candidates": np.array(self.candidates),
            "correct_QM": self.correct_QM,
            **{f"{_SCORES}{name}": scores_QM for name, scores_QM in self.scores.items()},
        }
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def without_scores(matrix: OutcomeMatrix) -> Predictions:
    """Return the outcomes of a matrix as predictions without any predictor.

    Args:
        matrix: outcomes; no cell may be missing.
    """
    return Predictions(
        matrix.question_ids, matrix.tasks, matrix.candidates, matrix.correct_QM, scores={}
    )


def complete_matrix(tables: ZooTables, benchmark: str, cards: tuple[Card, ...]) -> OutcomeMatrix:
    """Return outcomes on the questions of a benchmark that every candidate of a zoo answered."""
    questions = tables.answered_questions(benchmark)
    return complete_rows(build_matrix(questions, tables.outcomes, cards))


def load_predictions(path: str | Path) -> Predictions:
    """Read what :meth:`Predictions.save` wrote.

    Raises:
        ArtifactError: missing or unreadable file.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return Predictions(
            question_ids=tuple(arrays["question_ids"].tolist()),
            tasks=tuple(arrays["tasks"].tolist()),
            candidates=tuple(arrays["candidates"].tolist()),
            correct_QM=arrays["correct_QM"],
            scores={
                name.removeprefix(_SCORES): array
                for name, array in arrays.items()
                if name.startswith(_SCORES)
            },
        )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ArtifactError(f"{path} holds no readable predictions: {error}") from None


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """Join the predictions of several test folds; predictors are those of the first part."""
    first = parts[0]
    same = [part.of(first.candidates) for part in parts]
    return Predictions(
        tuple(question for part in same for question in part.question_ids),
        tuple(task for part in same for task in part.tasks),
        first.candidates,
        np.concatenate([part.correct_QM for part in same]),
        {name: np.concatenate([part.scores[name] for part in same]) for name in first.scores},
    )
