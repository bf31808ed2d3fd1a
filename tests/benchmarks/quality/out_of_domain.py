"""Routing on benchmarks that differ from that of the cards: FastEval's zoo."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modelsat.capability.cards import build_cards
from modelsat.evaluation.metrics import Interval, paired_bootstrap
from modelsat.preparation.aptitude_tests import whole_benchmark_test
from modelsat.preparation.recipe import WholeBenchmarkTest
from modelsat.preparation.tables import ZooTables
from tests.benchmarks.quality.gains import BEST_SINGLE
from tests.benchmarks.quality.predictions import ROUTER, Predictions, complete_matrix, pooled
from tests.benchmarks.quality.routers import TrainedRouter, router_predictions
from tests.benchmarks.quality.zoos import ZooSetups

FASTEVAL_ZOO = "fasteval"  # zoo of the recipe
TOGETHER = "together"  # the questions of all benchmarks


@dataclass(frozen=True)
class OutOfDomain:
    """Figures of one zoo on one benchmark, or on all benchmarks together.

    Attributes:
        benchmark: benchmark of the questions.
        zoo: name of the zoo.
        num_questions: number of questions.
        random: accuracy of uniform random choice.
        best_single: accuracy of the candidate with the best card.
        router: accuracy of the router.
        gain: accuracy of the router less that of the best single candidate.
        best_in_hindsight: accuracy of the candidate with the most right answers.
        oracle: accuracy of the best choice for each question in hindsight.
    """

    benchmark: str
    zoo: str
    num_questions: int
    random: float
    best_single: float
    router: float
    gain: Interval
    best_in_hindsight: float
    oracle: float


def out_of_domain(
    trained: TrainedRouter, tables: ZooTables, setups: ZooSetups, echo: Callable[[str], None]
) -> tuple[OutOfDomain, ...]:
    """Route questions of benchmarks that neither router nor cards have seen.

    Args:
        trained: a router that was trained on none of the benchmarks.
        tables: a zoo of the recipe whose aptitude test is a benchmark of its own.
        setups: zoos to route between.
        echo: receives progress.
    """
    test = tables.recipe.aptitude_test
    assert isinstance(test, WholeBenchmarkTest)
    cards = build_cards(tables.outcomes, whole_benchmark_test(tables, test))
    accuracy_M = np.array([card.accuracy_fraction for card in cards], dtype=np.float32)
    parts = {}
    for benchmark in tables.recipe.training_benchmarks:
        if not tables.answered_questions(benchmark).num_rows:
            continue
        matrix = complete_matrix(tables, benchmark, cards)
        router = router_predictions(trained, matrix, f"{tables.name}-{benchmark}", echo)
        single_QM = np.tile(accuracy_M, (len(router), 1))
        parts[benchmark] = router.with_scores({BEST_SINGLE: single_QM})
    if len(parts) > 1:
        parts[TOGETHER] = pooled(list(parts.values()))
    zoos = setups.among([card.candidate for card in cards]).zoos
    return tuple(
        _row(benchmark, zoo, predictions.of(members or predictions.candidates))
        for benchmark, predictions in parts.items()
        for zoo, members in zoos.items()
    )


def _row(benchmark: str, zoo: str, own: Predictions) -> OutOfDomain:
    router_Q, single_Q = own.chosen_correct(ROUTER), own.chosen_correct(BEST_SINGLE)
    return OutOfDomain(
        benchmark,
        zoo,
        len(own),
        random=float(own.correct_QM.mean()),
        best_single=float(single_Q.mean()),
        router=float(router_Q.mean()),
        gain=paired_bootstrap(router_Q, single_Q),
        best_in_hindsight=float(own.correct_QM.mean(axis=0).max()),
        oracle=float(own.correct_QM.max(axis=1).mean()),
    )
