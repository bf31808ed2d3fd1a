"""Cards from one benchmark, routing on others: FastEval's zoo."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modelsat.capability.cards import build_cards
from modelsat.evaluation.metrics import Interval, paired_bootstrap
from modelsat.quality.guests import CROWD_BENCHMARKS, CROWD_TEST, Guests, whole_benchmark_test
from tests.benchmarks.quality.experiments import TrainedRouter, predicted_by_router
from tests.benchmarks.quality.gains import BEST_SINGLE
from tests.benchmarks.quality.predictions import ROUTER, Predictions, pooled
from tests.benchmarks.quality.zoos import ZooSetups

TOGETHER = "together"  # all benchmarks as one


@dataclass(frozen=True)
class OutOfDomain:
    """One zoo on one benchmark, or on all of them together.

    Attributes:
        benchmark: what is asked.
        zoo: who may answer.
        num_questions: number of questions.
        random: accuracy of an even draw.
        best_single: accuracy of the candidate with the best card.
        router: accuracy of the router.
        gain: router over best single.
        best_in_hindsight: accuracy of the candidate that turned out best.
        oracle: accuracy of the best choice in hindsight.
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
    trained: TrainedRouter, guests: Guests, setups: ZooSetups, echo: Callable[[str], None]
) -> tuple[OutOfDomain, ...]:
    """Route benchmarks that neither the router nor the cards have seen.

    Args:
        trained: a router that learned from none of the benchmarks.
        guests: the candidates, with outcomes on the benchmarks and on the cards' one.
        setups: their zoos.
        echo: receives progress.
    """
    tasks = whole_benchmark_test(guests, CROWD_TEST)
    cards = build_cards(guests.outcomes, tasks)
    accuracy_M = np.array([card.accuracy_fraction for card in cards], dtype=np.float32)
    parts = {}
    for benchmark in CROWD_BENCHMARKS:
        if not guests.answered(benchmark):
            continue
        matrix = guests.matrix(benchmark, cards)
        router = predicted_by_router(trained, matrix, f"fasteval-{benchmark}", echo)
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
