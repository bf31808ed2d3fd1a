"""Candidates of other sources, whom no router was trained on: the RouteLLM pair and FastEval's zoo.

Shapes: Q questions, M candidates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.keywords import load_keywords
from modelsat.aptitude.tasks import CoreTask, TaskSet, load_tasks
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import Card, build_cards, write_cards
from modelsat.errors import ArtifactError
from modelsat.evaluation.evaluate import complete_rows
from modelsat.outcomes.joining import build_matrix
from modelsat.outcomes.matrix import OutcomeMatrix

# RouteLLM's pair, strong and weak (arXiv 2406.18665, section 5).
STRONG, WEAK = "gpt-4-1106-preview", "Mixtral-8x7B-Instruct-v0.1"
PAIR_SOURCE = "routellm"
PAIR_TEST = "mmlu"  # slice whose aptitude test the pair sits
GSM8K = "gsm8k"  # what it answered beside that
CROWD_SOURCE = "fasteval"
CROWD_TEST = "mmlu"  # benchmark that is the crowd's aptitude test, all that it answered of it
CROWD_BENCHMARKS = ("bbh", "gsm8k", "math")  # what it answered beside that
_MIN_SHOTS = 5  # a core task of FastEval's smaller MMLU needs as many: 3 and 4 say next to nothing


@dataclass(frozen=True)
class Guests:
    """One source of outcomes that no slice takes in.

    Attributes:
        questions: questions of all benchmarks, with leak groups.
        outcomes: outcomes of the source.
    """

    questions: pa.Table
    outcomes: pa.Table

    def answered(self, benchmark: str) -> frozenset[str]:
        """Questions of a benchmark that at least one of them answered."""
        return frozenset(self.answered_questions(benchmark)["question_id"].to_pylist())

    def matrix(self, benchmark: str, cards: tuple[Card, ...]) -> OutcomeMatrix:
        """Their outcomes on the questions of a benchmark that all of them answered."""
        return complete_rows(build_matrix(self.answered_questions(benchmark), self.outcomes, cards))

    def answered_questions(self, benchmark: str) -> pa.Table:
        """The rows of these questions."""
        own = self.questions.filter(pc.equal(self.questions["benchmark"], benchmark))
        answered = pc.unique(self.outcomes["question_id"].combine_chunks())
        return own.filter(pc.is_in(own["question_id"], answered))

    def data_set(
        self,
        benchmark: str,
        tasks: Path,
        directory: Path,
        is_training: Callable[[str], bool] = lambda group: True,
    ) -> dict[str, Any]:
        """Their outcomes on some questions as an entry of a training job's ``data``.

        Args:
            benchmark: whose questions.
            tasks: aptitude test that they have sat.
            directory: folder to write.
            is_training: whether a leak group may be learned from.
        """
        rows = self.answered_questions(benchmark)
        rows = rows.filter(
            pa.array([is_training(group) for group in rows["dup_group"].to_pylist()])
        )
        write_table(QUESTIONS, rows, directory / "questions-training.parquet")
        write_table(OUTCOMES, self.outcomes, directory / "outcomes.parquet")
        write_cards(build_cards(self.outcomes, load_tasks(tasks)), directory / "cards.parquet")
        return {
            "questions": [str(directory / "questions-training.parquet")],
            "outcomes": str(directory / "outcomes.parquet"),
            "cards": str(directory / "cards.parquet"),
            "tasks": str(tasks),
        }


def guests_from(source: str, questions: pa.Table, outcomes: pa.Table) -> Guests | None:
    """The candidates of a source; None where the outcomes have none of it."""
    own = outcomes.filter(pc.equal(outcomes["source"], source))
    return Guests(questions, own) if own.num_rows else None


def whole_benchmark_test(guests: Guests, benchmark: str) -> TaskSet:
    """All questions of a benchmark that the guests answered, as an aptitude test.

    Tasks with fewer than five questions are left out.

    Raises:
        ArtifactError: no task has enough.
    """
    rows = guests.answered_questions(benchmark)
    questions: dict[str, list[str]] = {}
    for task, question_id in zip(
        rows["task"].to_pylist(), rows["question_id"].to_pylist(), strict=True
    ):
        questions.setdefault(task, []).append(question_id)
    tasks = tuple(
        CoreTask(task=task, keywords=words, question_ids=tuple(sorted(questions[task])))
        for task, words in sorted(load_keywords(benchmark).items())
        if len(questions.get(task, ())) >= _MIN_SHOTS
    )
    if not tasks:
        raise ArtifactError(
            f"no task of {benchmark} has {_MIN_SHOTS} questions among the {len(rows)} answered; an "
            "aptitude test needs at least one such task"
        )
    return TaskSet(benchmark=benchmark, tasks=tasks)
