"""The quality benchmark: routers and baselines on real outcomes.

Five folds over questions: in each, aptitude test, cards, baselines and the choice of the best
single candidate use the other four. Three more routers are trained: without the held-out
candidates, with another seed, and on the earlier releases only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelsat.evaluation.baselines.learner import Learner, Questions
from modelsat.evaluation.baselines.neighbours import NEIGHBOURS
from modelsat.evaluation.baselines.simple import Tuning
from modelsat.evaluation.baselines.tuning import tune
from modelsat.preparation.recipe import Recipe
from modelsat.preparation.tables import read_zoos
from modelsat.routing.scoring import Scorer
from tests.benchmarks.quality.edits import CardEdit, edit_cards
from tests.benchmarks.quality.effort import Effort, total_effort
from tests.benchmarks.quality.gains import BEST_SINGLE
from tests.benchmarks.quality.out_of_domain import FASTEVAL_ZOO, OutOfDomain, out_of_domain
from tests.benchmarks.quality.predictions import ROUTER, Predictions, without_scores
from tests.benchmarks.quality.releases import Arrival, arrivals
from tests.benchmarks.quality.routellm import (
    ROUTELLM_ZOO,
    EscalationRow,
    compare_with_routellm,
)
from tests.benchmarks.quality.routers import NUM_FOLDS, Echo, Experiment, TrainedRouter
from tests.benchmarks.quality.runner import BenchmarkRunner
from tests.benchmarks.quality.training import encoder_source
from tests.benchmarks.quality.zoos import ALL_CANDIDATES, ZooSetups
from train_jobs.config import TrainJobConfig

SEEDS = (1,)  # in addition to seed 0, on the first fold
_EDITED = {  # core task whose statement is raised, and an unrelated core task
    "mmlu": ("elementary_mathematics", "professional_law"),
    "mmlu_pro": ("math", "law"),
}
_NUM_EDITED = 20  # cards


@dataclass(frozen=True)
class SliceResults:
    """Predictions on one slice.

    Attributes:
        name: name of the slice.
        setups: its zoos.
        left_out: number of answers of each candidate left out for answering too few questions.
        num_incomplete: number of questions left out because some candidate did not answer them.
        folds: predictions of router and baselines on each fold's test questions, all candidates.
        tunings: per fold, how the settings of its learned baselines were chosen.
        validated_elsewhere: test questions on which another fold's router was validated.
        seeds: predictions of the routers of other seeds on the first fold, by seed.
        held_out: predictions of the router that was not trained on the held-out candidates, on the
            first fold.
    """

    name: str
    setups: ZooSetups
    left_out: Mapping[str, int]
    num_incomplete: int
    folds: tuple[Predictions, ...]
    tunings: tuple[Mapping[str, Tuning], ...]
    validated_elsewhere: frozenset[str]
    seeds: Mapping[int, Predictions]
    held_out: Predictions | None


@dataclass(frozen=True)
class BenchmarkResults:
    """All results that the page shows.

    Attributes:
        slices: results per slice.
        releases: candidates that join by card only, on the first slice.
        edits: per slice, the effect of editing one statement of cards; first fold.
        routellm: rows per setting; empty where the tables lack RouteLLM's candidates.
        out_of_domain: FastEval's zoo on benchmarks other than that of its cards.
        effort: time, code and machines of all experiments.
    """

    slices: tuple[SliceResults, ...]
    releases: tuple[Arrival, ...]
    edits: Mapping[str, CardEdit]
    routellm: Mapping[str, list[EscalationRow]]
    out_of_domain: tuple[OutOfDomain, ...]
    effort: Effort


def run_benchmark(
    recipe: Recipe,
    data_dir: Path,
    work: Path,
    preset: Path,
    setups: Mapping[str, ZooSetups],
    *,
    learners: Sequence[Learner],
    train_router: Callable[[TrainJobConfig], object],
    echo: Echo,
) -> BenchmarkResults:
    """Train and evaluate every router of the benchmark; steps with a result on disk are skipped.

    Args:
        recipe: which parts of the tables are used.
        data_dir: folder with ``questions.parquet`` and ``outcomes.parquet``.
        work: folder of routers, prepared data and predictions.
        preset: training job (YAML) whose data and paths are replaced.
        setups: zoos to route between, by zoo of the recipe.
        learners: the baselines that learn.
        train_router: runs a training job; does nothing if the job is done.
        echo: receives progress.

    Raises:
        ModelSatError: the tables are refused, or a training failed.
    """
    runner = BenchmarkRunner(
        work=work,
        preset=preset,
        zoos={tables.name: tables for tables in read_zoos(recipe, data_dir, echo)},
        encoder=encoder_source(preset),
        learners=learners,
        train_router=train_router,
        echo=echo,
    )
    return _Benchmark(runner, setups).run()


@dataclass(frozen=True)
class _Benchmark:
    runner: BenchmarkRunner
    setups: Mapping[str, ZooSetups]

    def run(self) -> BenchmarkResults:
        runner, names = self.runner, self.runner.slices
        folds = [self._train_fold(f"fold-{fold}", fold) for fold in range(NUM_FOLDS)]
        withheld = {name: self._setups(name).held_out for name in names}
        held_out = runner.train(Experiment("held-out", 0, names, held_out=withheld))
        seeds = {seed: self._train_fold(f"seed-{seed}", 0, seed) for seed in SEEDS}
        return BenchmarkResults(
            slices=tuple(self._slice(name, folds, held_out, seeds) for name in names),
            releases=tuple(self._releases(names[0])),
            edits=self._edits(folds[0]),
            routellm=self._routellm(folds, held_out),
            out_of_domain=self._out_of_domain(held_out),
            effort=total_effort(runner.work),
        )

    def _routellm(
        self, folds: Sequence[TrainedRouter], held_out: TrainedRouter
    ) -> dict[str, list[EscalationRow]]:
        pair = self.runner.zoos.get(ROUTELLM_ZOO)
        return {} if pair is None else compare_with_routellm(self.runner, pair, folds, held_out)

    def _out_of_domain(self, held_out: TrainedRouter) -> tuple[OutOfDomain, ...]:
        tables = self.runner.zoos.get(FASTEVAL_ZOO)
        if tables is None:
            return ()
        setups = self.setups.get(FASTEVAL_ZOO, ALL_CANDIDATES)
        return out_of_domain(held_out, tables, setups, self.runner.echo)

    def _train_fold(self, name: str, fold: int, seed: int = 0) -> TrainedRouter:
        """Train a router on the slices and on RouteLLM's pair, the test fold left out."""
        zoos = self.runner.slices
        if ROUTELLM_ZOO in self.runner.zoos:
            zoos = (*zoos, ROUTELLM_ZOO)
        return self.runner.train(Experiment(name, fold, zoos, seed))

    def _setups(self, name: str) -> ZooSetups:
        return self.setups.get(name, ALL_CANDIDATES).among(self.runner.zoos[name].candidates)

    def _slice(
        self,
        name: str,
        folds: Sequence[TrainedRouter],
        held_out: TrainedRouter,
        seeds: Mapping[int, TrainedRouter],
    ) -> SliceResults:
        setups = self._setups(name)
        judged, tunings = [], []
        for trained in folds:
            router = self.runner.predict(trained, name)
            others, tuned = self.runner.baselines(trained, name)
            judged.append(router.with_scores(others.scores))
            tunings.append(tuned)
        return SliceResults(
            name=name,
            setups=setups,
            left_out=self.runner.zoos[name].left_out,
            num_incomplete=sum(trained.num_incomplete(name) for trained in folds),
            folds=tuple(judged),
            tunings=tuple(tunings),
            validated_elsewhere=frozenset().union(*(t.validated_elsewhere(name) for t in folds)),
            seeds={seed: self.runner.predict(one, name) for seed, one in seeds.items()},
            held_out=self.runner.predict(held_out, name) if setups.held_out else None,
        )

    def _edits(self, trained: TrainedRouter) -> dict[str, CardEdit]:
        scorer = Scorer.load(trained.router_dir, dtype="float32")
        made = {}
        for name, (edited, other) in _EDITED.items():
            if name not in trained.prepared:
                continue
            cards = trained.cards(name)
            if not {edited, other} <= {statement.task for statement in cards[0].statements}:
                self.runner.echo(
                    f"{name}: no card is edited, as core tasks lack {edited} or {other}"
                )
                continue
            matrix = trained.test_matrix(name)
            made[name] = edit_cards(scorer, matrix, cards, edited, other, most=_NUM_EDITED)
        return made

    def _releases(self, name: str) -> list[Arrival]:
        order = self._setups(name).release_order
        if len(order) < 2:
            return []
        late = order[len(order) // 2 :]
        trained = self.runner.train(Experiment("early-releases", 0, (name,), held_out={name: late}))
        predictions = self.runner.predict(trained, name)
        cards = {card.candidate: card for card in trained.cards(name)}
        accuracy_M = np.array([cards[c].accuracy_fraction for c in predictions.candidates])
        scores = {
            ROUTER: predictions.scores[ROUTER],
            BEST_SINGLE: np.tile(accuracy_M.astype(np.float32), (len(predictions), 1)),
            "knn": self._knn_on_aptitude_test(trained, name),
        }
        known = trained.prepared[name].trained_on
        accuracy = {candidate: card.accuracy_fraction for candidate, card in cards.items()}
        return arrivals(
            without_scores(trained.test_matrix(name)).with_scores(scores), order, accuracy, known
        )

    def _knn_on_aptitude_test(self, trained: TrainedRouter, name: str) -> np.ndarray:
        """Return scores of kNN fitted on the aptitude test alone, which is what the cards know."""
        tasks = trained.prepared[name].task_set()
        sat = trained.training_matrix(name)
        place = {question: i for i, question in enumerate(sat.question_ids)}
        sat = sat.rows([place[question] for question in tasks.question_ids])
        embed = self.runner.embed
        tuned = tune(NEIGHBOURS, sat, embed(sat.instructions))
        matrix = trained.test_matrix(name)
        asked = Questions(embed(matrix.instructions), matrix.tasks)
        return tuned.predictor.scores(asked, matrix.cards)
