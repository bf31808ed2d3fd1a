"""The quality benchmark: every router, every comparison, from real outcomes.

Five folds over questions; in each, aptitude test, cards, baselines and the choice of best single
come from the other four. One router more is trained without the held-out candidates, one with
another seed, and one on the earlier releases only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelsat.evaluation.baselines.learner import Questions
from modelsat.evaluation.baselines.neighbours import NEIGHBOURS
from modelsat.evaluation.baselines.simple import Tuning
from modelsat.evaluation.baselines.tuning import tune
from modelsat.quality.guests import CROWD_SOURCE, GSM8K, PAIR_TEST, Guests
from modelsat.quality.router import encoder_source
from modelsat.quality.slices import SliceTables
from modelsat.quality.tables import load_tables
from modelsat.routing.scoring import Scorer
from tests.benchmarks.quality.edits import CardEdit, edit_cards
from tests.benchmarks.quality.effort import Effort, total_effort
from tests.benchmarks.quality.experiments import (
    NUM_FOLDS,
    DataSet,
    Experiment,
    Laboratory,
    Prepared,
    TrainedRouter,
)
from tests.benchmarks.quality.gains import BEST_SINGLE
from tests.benchmarks.quality.out_of_domain import OutOfDomain, out_of_domain
from tests.benchmarks.quality.predictions import ROUTER, Predictions, without_scores
from tests.benchmarks.quality.releases import Arrival, arrivals
from tests.benchmarks.quality.routellm import EscalationRow, side_by_side
from tests.benchmarks.quality.zoos import EVERYONE, ZooSetups, load_zoos

Echo = Callable[[str], None]

SEEDS = (1,)  # beside seed 0, on the first fold
_EDITED = {  # core task whose line is raised, and one that has nothing to do with it
    "mmlu": ("elementary_mathematics", "professional_law"),
    "mmlu_pro": ("math", "law"),
}
_NUM_EDITED = 20  # cards


@dataclass(frozen=True)
class SliceResults:
    """What was predicted on one slice.

    Attributes:
        name: of the slice.
        setups: its zoos.
        left_out: number of answers of each candidate that answered too little to be judged.
        num_incomplete: questions that are not judged, as some candidate did not answer them.
        folds: router and baselines on each fold's test questions, all candidates.
        tunings: of each fold's learned baselines, how their settings were chosen.
        validated_elsewhere: judged questions on which another fold's router was validated.
        seeds: the router of other seeds on the first fold, by seed.
        held_out: the router that was not trained on the held-out candidates, first fold.
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
    """All that the page is made of.

    Attributes:
        slices: per slice.
        releases: arrivals by card only, on the first slice.
        edits: per slice, what an edit of one line of the cards does; first fold.
        routellm: per setting its rows; empty where the tables lack that source.
        out_of_domain: FastEval's zoo on benchmarks that its cards say nothing of.
        effort: what all of it took.
    """

    slices: tuple[SliceResults, ...]
    releases: tuple[Arrival, ...]
    edits: Mapping[str, CardEdit]
    routellm: Mapping[str, list[EscalationRow]]
    out_of_domain: tuple[OutOfDomain, ...]
    effort: Effort


def run_benchmark(
    data_dir: Path, work: Path, preset: Path, zoos: Path | None, echo: Echo
) -> BenchmarkResults:
    """Train and judge every router of the benchmark; what is on disk already is not redone.

    Args:
        data_dir: folder with ``questions.parquet`` and ``outcomes.parquet``.
        work: folder of everything that is made.
        preset: training job (YAML) whose data and paths are replaced.
        zoos: zoo set-ups (YAML); None takes those of the package.
        echo: receives progress.

    Raises:
        ModelSatError: the tables are refused, or a command failed.
    """
    setups = load_zoos(zoos)
    tables = load_tables(data_dir, echo)
    laboratory = Laboratory(
        work=work,
        preset=preset,
        slices=tables.slices,
        answered=tables.answered,
        encoder=encoder_source(preset, echo),
        echo=echo,
    )
    return _Benchmark(laboratory, setups, tables.pair, tables.crowd).run()


@dataclass(frozen=True)
class _Benchmark:
    laboratory: Laboratory
    setups: Mapping[str, ZooSetups]
    pair: Guests | None
    crowd: Guests | None

    def run(self) -> BenchmarkResults:
        names = [tables.slice.name for tables in self.laboratory.slices]
        folds = [self._train_fold(Experiment(f"fold-{k}", k)) for k in range(NUM_FOLDS)]
        held_out = self.laboratory.train(Experiment("held-out", 0, held_out=self._held_out()))
        seeds = {seed: self._train_fold(Experiment(f"seed-{seed}", 0, seed)) for seed in SEEDS}
        slices = tuple(
            self._slice(tables, folds, held_out, seeds) for tables in self.laboratory.slices
        )
        return BenchmarkResults(
            slices=slices,
            releases=tuple(self._releases(names[0])),
            edits=self._edits(folds[0]),
            routellm=side_by_side(self.laboratory, self.pair, folds, held_out)
            if self.pair is not None
            else {},
            out_of_domain=out_of_domain(
                held_out, self.crowd, self.setups.get(CROWD_SOURCE, EVERYONE), self.laboratory.echo
            )
            if self.crowd is not None
            else (),
            effort=total_effort(self.laboratory.work),
        )

    def _train_fold(self, experiment: Experiment) -> TrainedRouter:
        """A router that also learns from the RouteLLM pair's answers to GSM8K in its folds."""

        def labelled(prepared: Prepared) -> list[DataSet]:
            if self.pair is None or PAIR_TEST not in prepared or not self.pair.answered(GSM8K):
                return []
            directory = self.laboratory.work / experiment.name / GSM8K
            tasks = prepared[PAIR_TEST].tasks
            return [self.pair.data_set(GSM8K, tasks, directory, experiment.is_training)]

        return self.laboratory.train(experiment, labelled)

    def _setups(self, name: str) -> ZooSetups:
        candidates = next(t for t in self.laboratory.slices if t.slice.name == name).candidates
        return self.setups.get(name, EVERYONE).among(candidates)

    def _held_out(self) -> dict[str, tuple[str, ...]]:
        names = [tables.slice.name for tables in self.laboratory.slices]
        return {name: self._setups(name).held_out for name in names}

    def _slice(
        self,
        tables: SliceTables,
        folds: Sequence[TrainedRouter],
        held_out: TrainedRouter,
        seeds: Mapping[int, TrainedRouter],
    ) -> SliceResults:
        name = tables.slice.name
        setups = self._setups(name)
        judged, tunings = [], []
        for trained in folds:
            router = self.laboratory.predict(trained, name)
            others, tuned = self.laboratory.baselines(trained, name)
            judged.append(router.with_scores(others.scores))
            tunings.append(tuned)
        return SliceResults(
            name=name,
            setups=setups,
            left_out=tables.left_out,
            num_incomplete=sum(trained.num_incomplete(name) for trained in folds),
            folds=tuple(judged),
            tunings=tuple(tunings),
            validated_elsewhere=frozenset().union(*(t.validated_elsewhere(name) for t in folds)),
            seeds={seed: self.laboratory.predict(one, name) for seed, one in seeds.items()},
            held_out=self.laboratory.predict(held_out, name) if setups.held_out else None,
        )

    def _edits(self, trained: TrainedRouter) -> dict[str, CardEdit]:
        scorer = Scorer.load(trained.router_dir, dtype="float32")
        made = {}
        for name, (edited, other) in _EDITED.items():
            if name not in trained.prepared:
                continue
            cards = trained.cards(name)
            if not {edited, other} <= {statement.task for statement in cards[0].statements}:
                self.laboratory.echo(f"{name}: no card is edited, {edited} is no core task here")
                continue
            matrix = trained.test_matrix(name)
            made[name] = edit_cards(scorer, matrix, cards, edited, other, most=_NUM_EDITED)
        return made

    def _releases(self, name: str) -> list[Arrival]:
        order = self._setups(name).release_order
        if len(order) < 2:
            return []
        late = order[len(order) // 2 :]
        trained = self.laboratory.train(
            Experiment("early-releases", 0, held_out={name: late}, slices=(name,))
        )
        predictions = self.laboratory.predict(trained, name)
        cards = {card.candidate: card for card in trained.cards(name)}
        accuracy_M = np.array([cards[c].accuracy_fraction for c in predictions.candidates])
        scores = {
            ROUTER: predictions.scores[ROUTER],
            BEST_SINGLE: np.tile(accuracy_M.astype(np.float32), (len(predictions), 1)),
            "knn": self._neighbours_of_the_test(trained, name),
        }
        known = trained.prepared[name].trained_on
        accuracy = {candidate: card.accuracy_fraction for candidate, card in cards.items()}
        return arrivals(
            without_scores(trained.test_matrix(name)).with_scores(scores), order, accuracy, known
        )

    def _neighbours_of_the_test(self, trained: TrainedRouter, name: str) -> np.ndarray:
        """kNN that knows of every candidate what its card does: the answers on the test."""
        tasks = trained.prepared[name].task_set()
        sat = trained.training_matrix(name)
        place = {question: i for i, question in enumerate(sat.question_ids)}
        sat = sat.rows([place[question] for question in tasks.question_ids])
        embed = self.laboratory.embed
        tuned = tune(NEIGHBOURS, sat, embed(sat.instructions))
        matrix = trained.test_matrix(name)
        asked = Questions(embed(matrix.instructions), matrix.tasks)
        return tuned.predictor.scores(asked, matrix.cards)
