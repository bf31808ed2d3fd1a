"""The routers of the benchmark: what each learns from, how it is trained, what it then predicts.

Every step leaves a file named by what went into it, so an interrupted benchmark continues where it
stopped and a changed preset or table is trained anew.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from modelsat.artifacts.hashing import content_hash, directory_hash, file_hash
from modelsat.artifacts.router_description import DESCRIPTION_NAME, read_description
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_json, read_table, write_json
from modelsat.capability.cards import Card, read_cards, select_cards
from modelsat.evaluation.baselines.learner import Questions
from modelsat.evaluation.baselines.simple import Tuning, baselines
from modelsat.evaluation.baselines.tuning import LEARNERS, Embed, tune
from modelsat.evaluation.evaluate import complete_rows
from modelsat.outcomes.joining import load_matrix
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.outcomes.splits import fold_of, is_validation
from modelsat.quality.preparation import PreparedSlice, prepare_slice
from modelsat.quality.router import run_training
from modelsat.quality.slices import SliceTables
from modelsat.routing.scoring import Scorer
from tests.benchmarks.quality.effort import recorded
from tests.benchmarks.quality.embeddings import cached_embedder
from tests.benchmarks.quality.predictions import (
    ROUTER,
    Predictions,
    load_predictions,
    without_scores,
)

Echo = Callable[[str], None]
DataSet = dict[str, Any]
Prepared = Mapping[str, PreparedSlice]

NUM_FOLDS = 5
_SIMPLE = ("best_single", "best_per_task", "card_lookup")
_BASELINES_CODE = Path(str(files("modelsat.evaluation.baselines")))


@dataclass(frozen=True)
class Experiment:
    """One router of the benchmark.

    Attributes:
        name: also the name of its folder.
        fold: the questions of this fold are judged on, the others learned from.
        seed: of the training.
        held_out: by slice, candidates that the router is not trained on.
        slices: names of the slices it learns from; None: all.
    """

    name: str
    fold: int
    seed: int = 0
    held_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    slices: tuple[str, ...] | None = None

    def is_training(self, group: str) -> bool:
        """Whether a leak group may be learned from."""
        return fold_of(group, NUM_FOLDS) != self.fold


@dataclass(frozen=True)
class Laboratory:
    """What all experiments share.

    Attributes:
        work: folder of everything that is made.
        preset: training job (YAML) whose data and paths are replaced.
        slices: the tables.
        answered: questions that guest candidates answered, by slice.
        encoder: hub id or directory of what embeds instructions for the baselines.
        echo: receives progress.
    """

    work: Path
    preset: Path
    slices: Sequence[SliceTables]
    answered: Mapping[str, frozenset[str]]
    encoder: str
    echo: Echo

    @cached_property
    def embed(self) -> Embed:
        """Embeds instructions for the baselines; none twice."""
        return cached_embedder(self.encoder, self.work / "embeddings")

    def train(
        self, experiment: Experiment, extra: Callable[[Prepared], list[DataSet]] = lambda _: []
    ) -> "TrainedRouter":
        """Prepare the slices of an experiment and train its router, unless that is done.

        Args:
            experiment: what to learn from.
            extra: makes further entries of the training job's ``data`` once the slices are
                prepared.
        """
        self.echo(f"{experiment.name}: preparing and training")
        directory = self.work / experiment.name
        prepared = {
            tables.slice.name: prepare_slice(
                tables,
                directory / tables.slice.name,
                is_training=experiment.is_training,
                held_out=experiment.held_out.get(tables.slice.name, ()),
                answered=self.answered.get(tables.slice.name),
                echo=self.echo,
            )
            for tables in self.slices
            if experiment.slices is None or tables.slice.name in experiment.slices
        }
        router_dir = directory / "router"
        data = [*(one.data_set() for one in prepared.values()), *extra(prepared)]
        with recorded(directory, router_dir / DESCRIPTION_NAME):
            run_training(
                self.preset, data, router_dir, directory, seed=experiment.seed, echo=self.echo
            )
        return TrainedRouter(experiment, directory, prepared, router_dir)

    def predict(self, trained: "TrainedRouter", name: str) -> Predictions:
        """The router on the test questions of a slice, all candidates, held-out ones too."""
        matrix = trained.test_matrix(name)
        return predicted_by_router(trained, matrix, f"{name}-{ROUTER}", self.echo)

    def baselines(
        self, trained: "TrainedRouter", name: str
    ) -> tuple[Predictions, dict[str, Tuning]]:
        """Every baseline on the same questions, fitted on the training questions of the fold.

        Returns:
            What they predict, and how the settings of the learned ones were chosen.
        """
        prepared = trained.prepared[name]
        key = content_hash(
            [file_hash(path) for path in (prepared.training_questions, prepared.test_questions)]
            + [file_hash(prepared.outcomes), file_hash(prepared.cards)]
            + [self.encoder]
            + [file_hash(path) for path in sorted(_BASELINES_CODE.glob("*.py"))]
        )
        path = trained.directory / "predictions" / f"{name}-baselines-{key}.npz"
        if not path.is_file():
            self.echo(f"{trained.experiment.name}: baselines on {name}")
            with recorded(trained.directory, path):
                made, tunings = self._fit_baselines(trained, name)
                found = {learner: asdict(tuning) for learner, tuning in tunings.items()}
                write_json(path.with_suffix(".json"), found)
                made.save(path)
        read = read_json(path.with_suffix(".json"))
        return load_predictions(path), {key: Tuning(**one) for key, one in read.items()}

    def _fit_baselines(
        self, trained: "TrainedRouter", name: str
    ) -> tuple[Predictions, dict[str, Tuning]]:
        matrix, training = trained.test_matrix(name), trained.training_matrix(name)
        beside_the_test = trained.training_matrix(name, with_test=False)
        simple = baselines(matrix, training)
        scores = {key: simple[key].scores_QM for key in _SIMPLE}
        asked = Questions(self.embed(matrix.instructions), matrix.tasks)
        tunings = {}
        for learner in LEARNERS:
            own = beside_the_test if learner.reads_cards else training
            tuned = tune(learner, own, self.embed(own.instructions))
            self.echo(f"  {learner.name}: {tuned.tuning.text()}")
            tunings[learner.name] = tuned.tuning
            scores[learner.name] = tuned.predictor.scores(asked, matrix.cards)
        made = without_scores(matrix).with_scores(
            {key: np.asarray(value, dtype=np.float32) for key, value in scores.items()}
        )
        return made, tunings


@dataclass(frozen=True)
class TrainedRouter:
    """A router of the benchmark and what it was made from.

    Attributes:
        experiment: what it is.
        directory: its folder.
        prepared: files by slice.
        router_dir: the router.
    """

    experiment: Experiment
    directory: Path
    prepared: Prepared
    router_dir: Path

    @cached_property
    def router_hash(self) -> str:
        """Hash of the router directory."""
        return directory_hash(self.router_dir)

    def cards(self, name: str) -> tuple[Card, ...]:
        """Cards of all candidates of a slice."""
        return select_cards(read_cards(self.prepared[name].cards), None)

    def test_matrix(self, name: str) -> OutcomeMatrix:
        """The test questions of a slice that every candidate answered."""
        prepared = self.prepared[name]
        return complete_rows(
            load_matrix([prepared.test_questions], prepared.outcomes, self.cards(name))
        )

    def num_incomplete(self, name: str) -> int:
        """Test questions of a slice that are not judged: some candidate did not answer them."""
        asked = read_table(QUESTIONS, self.prepared[name].test_questions)
        return int(asked.num_rows) - len(self.test_matrix(name))

    def training_matrix(self, name: str, *, with_test: bool = True) -> OutcomeMatrix:
        """The training questions of a slice, those of the aptitude test among them or not."""
        prepared = self.prepared[name]
        test = () if with_test else prepared.task_set().question_ids
        return load_matrix(
            [prepared.training_questions],
            prepared.outcomes,
            self.cards(name),
            exclude_questions=test,
        )

    def validated_elsewhere(self, name: str) -> frozenset[str]:
        """Test questions on which the routers of the other folds were validated.

        Whoever compares several routers' validation figures has seen these questions.
        """
        training = read_description(self.router_dir)["manifest"]["training"]
        matrix = self.test_matrix(name)
        held_Q = is_validation(matrix.groups, training["validation_fraction"], training["seed"])
        return frozenset(
            question
            for question, is_held in zip(matrix.question_ids, held_Q, strict=True)
            if is_held
        )


def predicted_by_router(
    trained: TrainedRouter, matrix: OutcomeMatrix, name: str, echo: Echo
) -> Predictions:
    """P(correct) of a trained router on the questions and cards of a matrix, from disk if there.

    Args:
        trained: the router; cards of aptitude tests it was not trained on are scored too.
        matrix: questions and cards.
        name: of the file, beside a hash of all that went into it.
        echo: receives progress.
    """
    asked = [list(matrix.question_ids), [card.card_version for card in matrix.cards]]
    key = content_hash([trained.router_hash, *asked])
    path = trained.directory / "predictions" / f"{name}-{key}.npz"
    if not path.is_file():
        echo(f"{trained.experiment.name}: {name}, {len(matrix)} questions")
        tests = {card.tasks_hash for card in matrix.cards}
        with recorded(trained.directory, path):
            scorer = Scorer.load(trained.router_dir, dtype="float32", also_reads=tests)
            log_odds_QM = scorer.log_odds_in_batches(matrix.instructions, matrix.cards)
            probabilities_QM = scorer.router.calibration.probabilities(log_odds_QM)
            without_scores(matrix).with_scores({ROUTER: probabilities_QM}).save(path)
    return load_predictions(path)
