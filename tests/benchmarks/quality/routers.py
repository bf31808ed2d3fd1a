"""Routers of the benchmark and their predictions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from modelsat.artifacts.hashing import content_hash, directory_hash
from modelsat.artifacts.router_description import read_description
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_table
from modelsat.capability.cards import Card, read_cards, select_cards
from modelsat.evaluation.evaluate import complete_rows
from modelsat.outcomes.joining import load_matrix
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.outcomes.splits import is_validation
from modelsat.preparation.prepared import PreparedDataSet, PreparedZoo
from modelsat.routing.scoring import Scorer
from tests.benchmarks.quality.effort import record_effort
from tests.benchmarks.quality.predictions import (
    ROUTER,
    Predictions,
    load_predictions,
    without_scores,
)
from tests.support.folds import fold_of

Echo = Callable[[str], None]

NUM_FOLDS = 5


@dataclass(frozen=True)
class Experiment:
    """One router of the benchmark.

    Attributes:
        name: name of the router and of its folder.
        fold: test fold; the router is trained on the questions of the other folds.
        zoos: names of the recipe's zoos that it is trained on; a zoo that shares the aptitude test
            of another follows it.
        seed: seed of the training.
        held_out: by zoo of the recipe, candidates that the router is not trained on.
    """

    name: str
    fold: int
    zoos: tuple[str, ...]
    seed: int = 0
    held_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def is_training(self, group: str) -> bool:
        """Return whether the router may be trained on a leak group."""
        return fold_of(group, NUM_FOLDS) != self.fold


@dataclass(frozen=True)
class TrainedRouter:
    """A router of the benchmark and the data it was trained on.

    Attributes:
        experiment: which router of the benchmark this is.
        directory: folder of the experiment.
        prepared: prepared files, by zoo of the recipe.
        router_dir: router directory.
    """

    experiment: Experiment
    directory: Path
    prepared: Mapping[str, PreparedZoo]
    router_dir: Path

    @cached_property
    def router_hash(self) -> str:
        """Hash of the router directory."""
        return directory_hash(self.router_dir)

    def cards(self, name: str) -> tuple[Card, ...]:
        """Return the cards of all candidates of a slice."""
        return select_cards(read_cards(self.prepared[name].cards), None)

    def test_matrix(self, name: str) -> OutcomeMatrix:
        """Return outcomes on the test questions of a slice that every candidate answered."""
        files = self._files(name)
        return complete_rows(load_matrix([files.test_questions], files.outcomes, self.cards(name)))

    def num_incomplete(self, name: str) -> int:
        """Return the number of test questions that some candidate did not answer."""
        asked = read_table(QUESTIONS, self._files(name).test_questions)
        return int(asked.num_rows) - len(self.test_matrix(name))

    def training_matrix(self, name: str, *, with_test: bool = True) -> OutcomeMatrix:
        """Return outcomes on the training questions, with or without the aptitude test's."""
        files = self._files(name)
        test = () if with_test else self.prepared[name].task_set().question_ids
        return load_matrix(
            [files.training_questions],
            files.outcomes,
            self.cards(name),
            exclude_questions=test,
        )

    def validated_elsewhere(self, name: str) -> frozenset[str]:
        """Return test questions on which the routers of the other folds were validated.

        Choices made by comparing validation figures of routers have used these questions.
        """
        training = read_description(self.router_dir)["manifest"]["training"]
        matrix = self.test_matrix(name)
        held_Q = is_validation(matrix.groups, training["validation_fraction"], training["seed"])
        return frozenset(
            question
            for question, is_held in zip(matrix.question_ids, held_Q, strict=True)
            if is_held
        )

    def input_files(self, name: str) -> tuple[Path, ...]:
        """Return the files of a slice from which baselines are fitted and evaluated."""
        files = self._files(name)
        cards = self.prepared[name].cards
        return (files.training_questions, files.test_questions, files.outcomes, cards)

    def _files(self, name: str) -> PreparedDataSet:
        """Return the files of a slice's one benchmark."""
        (data_set,) = self.prepared[name].data_sets
        return data_set


def router_predictions(
    trained: TrainedRouter, matrix: OutcomeMatrix, name: str, echo: Echo
) -> Predictions:
    """Return P(correct) of a router on the questions and cards of a matrix, cached on disk.

    Args:
        trained: the router; it also scores cards of aptitude tests that it was not trained on.
        matrix: questions and cards.
        name: first part of the file's name; a hash of all inputs is the second.
        echo: receives progress.
    """
    asked = [list(matrix.question_ids), [card.card_version for card in matrix.cards]]
    key = content_hash([trained.router_hash, *asked])
    path = trained.directory / "predictions" / f"{name}-{key}.npz"
    if not path.is_file():
        echo(f"{trained.experiment.name}: {name}, {len(matrix)} questions")
        tests = {card.tasks_hash for card in matrix.cards}
        with record_effort(trained.directory, path):
            scorer = Scorer.load(trained.router_dir, dtype="float32", also_reads=tests)
            log_odds_QM = scorer.log_odds_in_batches(matrix.instructions, matrix.cards)
            probabilities_QM = scorer.router.calibration.probabilities(log_odds_QM)
            without_scores(matrix).with_scores({ROUTER: probabilities_QM}).save(path)
    return load_predictions(path)
