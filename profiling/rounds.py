"""Rounds of a collection: one profiling run each, over the next prompts of the sample."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table
from modelsat.errors import ConfigError
from modelsat.grading.grade import Kind
from modelsat.grading.graders import has_failed
from profiling.aptitude_test import profile_zoo
from profiling.budget import Meter, Usage
from profiling.collect_config import CollectConfig
from profiling.config import AskingConfig, ProfileConfig
from profiling.later_grades import JOURNAL_FILE
from profiling.ledger import Ledger
from profiling.work import OUTCOMES_FILE, OUTCOMES_FOLDER, Work, plan_run

QUESTIONS_FILE = "questions.parquet"

Row = dict[str, Any]


@dataclass(frozen=True)
class Round:
    """One round.

    Attributes:
        folder: folder of the round; it holds its questions table.
        config: the collection.
        meter: counts what it uses.
        ledger: where that is written.
    """

    folder: Path
    config: CollectConfig
    meter: Meter
    ledger: Ledger

    @cached_property
    def questions(self) -> list[Row]:
        """Rows of its questions table."""
        return read_table(QUESTIONS, self.folder / QUESTIONS_FILE).to_pylist()

    @property
    def outcomes(self) -> pa.Table:
        """Outcomes of the candidates that are done."""
        path = self.folder / OUTCOMES_FILE
        return read_table(OUTCOMES, path) if path.exists() else OUTCOMES.arrow.empty_table()

    def run(self) -> dict[str, Any]:
        """Ask what is missing and record what was used; returns the report of the run.

        Raises:
            ConfigError: what is missing may exceed the budget.
            ModelSatError: see :func:`profiling.aptitude_test.profile_zoo`.
        """
        profile = self._profile_config()
        most = self._most_left(profile)
        if not (self.ledger.total + most).fits(self.config.budget):
            raise ConfigError(
                f"{self.folder} is not finished: up to {most.requests} requests, {most.tokens} "
                f"tokens and {most.usd:.2f} USD are left, more than the rest of the budget; raise "
                "it, or ask as before (candidates and settings that change answers)"
            )
        try:
            return profile_zoo(profile)
        finally:
            self._record()

    def _most_left(self, profile: ProfileConfig) -> Usage:
        """Return the most that the unfinished part of the round can use."""
        total = Usage()
        for work in plan_run(profile).works:
            answered = self._answered(work)
            left = set(work.question_ids) - answered.keys()
            asked = [row for row in self.questions if row["question_id"] in left]
            total += self.meter.most_of(work.candidate, asked)
            waiting = [
                row
                for row in self.questions
                if answered.get(row["question_id"]) == Kind.UNGRADED.value
            ]
            total += self.meter.most_judging(work.candidate, waiting)
        return total

    def _answered(self, work: Work) -> dict[str, str | None]:
        """Return the ``failure`` of each answer that is not asked for again, by question."""
        is_done = work.is_done()
        if is_done:
            table = read_table(OUTCOMES, work.path)
        else:
            table = work.checkpoint.load(self.config.max_asking_runs)
        return {
            row["question_id"]: row["failure"]
            for row in table.to_pylist()
            if is_done or not has_failed(row)
        }

    def _record(self) -> None:
        by_id = {row["question_id"]: row for row in self.questions}
        for path in sorted((self.folder / OUTCOMES_FOLDER).glob("*.parquet")):
            manifest = read_manifest(path)
            name = f"{self.folder.name}/{manifest['candidate']}/{manifest['work_hash']}"
            self.ledger.record(name, self.meter.answered(by_id, read_table(OUTCOMES, path)))
        num_requests = _num_replies(self.folder / JOURNAL_FILE)
        if num_requests:
            used = self.meter.judged(by_id, self.outcomes, num_requests)
            self.ledger.record(f"{self.folder.name}/judge", used)

    def _profile_config(self) -> ProfileConfig:
        shared = self.config.model_dump(include=set(AskingConfig.model_fields) - {"output_dir"})
        return ProfileConfig(
            **shared,
            output_dir=self.folder,
            questions=(self.folder / QUESTIONS_FILE,),
            tasks=None,
        )


def _num_replies(journal: Path) -> int:
    if not journal.exists():
        return 0
    number = 0
    for line in journal.read_text(encoding="utf-8").split("\n"):
        try:
            _, replies = json.loads(line)
        except (ValueError, TypeError):  # empty, or unfinished
            continue
        number += len(replies)
    return number
