"""Trains the routers of the benchmark, and runs them and the baselines.

The result of every step is a file named by a hash of its inputs. An interrupted benchmark continues
where it stopped, and a changed preset or table is trained again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np

from modelsat.artifacts.hashing import content_hash, file_hash
from modelsat.artifacts.router_description import DESCRIPTION_NAME
from modelsat.artifacts.store import read_json, write_json
from modelsat.evaluation.baselines.learner import Learner, Questions
from modelsat.evaluation.baselines.simple import Tuning, baselines
from modelsat.evaluation.baselines.tuning import Embed, tune
from modelsat.preparation.prepare import prepare_zoo
from modelsat.preparation.prepared import PreparedZoo
from modelsat.preparation.recipe import SelectedTest, SharedTest
from modelsat.preparation.tables import ZooTables
from tests.benchmarks.quality.effort import record_effort
from tests.benchmarks.quality.embeddings import cached_embedder
from tests.benchmarks.quality.predictions import (
    ROUTER,
    Predictions,
    load_predictions,
    without_scores,
)
from tests.benchmarks.quality.routers import Echo, Experiment, TrainedRouter, router_predictions
from tests.benchmarks.quality.training import training_job
from train_jobs.config import TrainJobConfig

_SIMPLE = ("best_single", "best_per_task", "card_lookup")
_BASELINES_CODE = Path(str(files("modelsat.evaluation.baselines")))


@dataclass(frozen=True)
class BenchmarkRunner:
    """Trains routers, and runs them and the baselines.

    A *slice* is a zoo of the recipe with an aptitude test selected for it, and the one benchmark
    that its candidates answered: routers and baselines are compared on it.

    Attributes:
        work: folder of routers, prepared data and predictions.
        preset: training job (YAML) whose data and paths are replaced.
        zoos: questions and outcomes, by zoo of the recipe.
        encoder: hub id or directory of the model that embeds instructions for the baselines.
        learners: the baselines that learn.
        train_router: runs a training job; does nothing if the job is done.
        echo: receives progress.
    """

    work: Path
    preset: Path
    zoos: Mapping[str, ZooTables]
    encoder: str
    learners: Sequence[Learner]
    train_router: Callable[[TrainJobConfig], object]
    echo: Echo

    @property
    def slices(self) -> tuple[str, ...]:
        """Names of the slices."""
        return tuple(
            name
            for name, tables in self.zoos.items()
            if isinstance(tables.recipe.aptitude_test, SelectedTest)
        )

    @cached_property
    def embed(self) -> Embed:
        """Embed instructions for the baselines; no text is embedded twice."""
        return cached_embedder(self.encoder, self.work / "embeddings")

    def train(self, experiment: Experiment) -> TrainedRouter:
        """Prepare the zoos of an experiment and train its router, unless both are done."""
        self.echo(f"{experiment.name}: preparing and training")
        directory = self.work / experiment.name
        prepared: dict[str, PreparedZoo] = {}
        for name in experiment.zoos:
            test = self.zoos[name].recipe.aptitude_test
            shared = prepared[test.zoo].task_set() if isinstance(test, SharedTest) else None
            prepared[name] = prepare_zoo(
                self.zoos[name],
                directory / name,
                is_training=experiment.is_training,
                held_out=experiment.held_out.get(name, ()),
                shared_test=shared,
                echo=self.echo,
            )
        data = [entry for zoo in prepared.values() for entry in zoo.job_data()]
        router_dir = directory / "router"
        job = training_job(self.preset, data, router_dir, directory, seed=experiment.seed)
        with record_effort(directory, router_dir / DESCRIPTION_NAME):
            self.train_router(job)
        return TrainedRouter(experiment, directory, prepared, router_dir)

    def predict(self, trained: TrainedRouter, name: str) -> Predictions:
        """Return the router's scores of all candidates on the test questions of a slice."""
        matrix = trained.test_matrix(name)
        return router_predictions(trained, matrix, f"{name}-{ROUTER}", self.echo)

    def baselines(self, trained: TrainedRouter, name: str) -> tuple[Predictions, dict[str, Tuning]]:
        """Return every baseline's scores on the same questions, fitted on the training questions.

        Returns:
            Predictions, and by learned baseline how its settings were chosen.
        """
        key = content_hash(
            [file_hash(path) for path in trained.input_files(name)]
            + [self.encoder, *(learner.name for learner in self.learners)]
            + [file_hash(path) for path in sorted(_BASELINES_CODE.glob("*.py"))]
        )
        path = trained.directory / "predictions" / f"{name}-baselines-{key}.npz"
        if not path.is_file():
            self.echo(f"{trained.experiment.name}: baselines on {name}")
            with record_effort(trained.directory, path):
                made, tunings = self._fit_baselines(trained, name)
                found = {learner: asdict(tuning) for learner, tuning in tunings.items()}
                write_json(path.with_suffix(".json"), found)
                made.save(path)
        read = read_json(path.with_suffix(".json"))
        return load_predictions(path), {key: Tuning(**one) for key, one in read.items()}

    def _fit_baselines(
        self, trained: TrainedRouter, name: str
    ) -> tuple[Predictions, dict[str, Tuning]]:
        matrix, training = trained.test_matrix(name), trained.training_matrix(name)
        beside_the_test = trained.training_matrix(name, with_test=False)
        simple = baselines(matrix, training)
        scores = {key: simple[key].scores_QM for key in _SIMPLE}
        asked = Questions(self.embed(matrix.instructions), matrix.tasks)
        tunings = {}
        for learner in self.learners:
            own = beside_the_test if learner.reads_cards else training
            tuned = tune(learner, own, self.embed(own.instructions))
            self.echo(f"  {learner.name}: {tuned.tuning.text()}")
            tunings[learner.name] = tuned.tuning
            scores[learner.name] = tuned.predictor.scores(asked, matrix.cards)
        made = without_scores(matrix).with_scores(
            {key: np.asarray(value, dtype=np.float32) for key, value in scores.items()}
        )
        return made, tunings
