"""From real tables to what `modelsat train` reads: aptitude test, cards, training questions."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.keywords import load_keywords
from modelsat.aptitude.selection import select_task_set
from modelsat.aptitude.tasks import TaskSet, load_tasks
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_json, write_table
from modelsat.capability.cards import build_cards, write_cards
from modelsat.quality.slices import SliceTables

Echo = Callable[[str], None]


@dataclass(frozen=True)
class PreparedSlice:
    """Files of one slice.

    Attributes:
        name: the slice.
        directory: where the files are.
        trained_on: candidates the router is trained on; the cards hold the others too.
    """

    name: str
    directory: Path
    trained_on: tuple[str, ...]

    @property
    def tasks(self) -> Path:
        """The aptitude test."""
        return self.directory / "tasks.json"

    def task_set(self) -> TaskSet:
        """The aptitude test, read."""
        return load_tasks(self.tasks)

    @property
    def cards(self) -> Path:
        """Cards of all candidates."""
        return self.directory / "cards.parquet"

    @property
    def outcomes(self) -> Path:
        """Outcomes of all candidates on all questions."""
        return self.directory / "outcomes.parquet"

    @property
    def training_questions(self) -> Path:
        """Questions to learn from, those of the aptitude test among them."""
        return self.directory / "questions-training.parquet"

    @property
    def test_questions(self) -> Path:
        """Questions to judge on; there may be none."""
        return self.directory / "questions-test.parquet"

    def data_set(self) -> dict[str, Any]:
        """The slice as an entry of a training job's ``data``."""
        return {
            "questions": [str(self.training_questions)],
            "outcomes": str(self.outcomes),
            "cards": str(self.cards),
            "tasks": str(self.tasks),
            "candidates": list(self.trained_on),
        }


def prepare_slice(
    tables: SliceTables,
    directory: Path,
    *,
    is_training: Callable[[str], bool] = lambda group: True,
    held_out: Collection[str] = (),
    answered: Collection[str] | None = None,
    seed: int = 0,
    echo: Echo,
) -> PreparedSlice:
    """Choose the aptitude test, build the cards, and write everything.

    The aptitude test is chosen on the training questions and on the outcomes of the candidates
    that are trained on; then all candidates sit it.

    Args:
        tables: the slice.
        directory: folder to write.
        is_training: whether a duplicate group may be learned from; the rest is to be judged on.
        held_out: candidates that no router is trained on.
        answered: questions that further candidates have answered, who are to sit the test too;
            None: there are no such candidates.
        seed: seeds the choice of questions.
        echo: receives progress.

    Raises:
        ConfigError: too few usable core tasks.
        ArtifactError: an outcome is malformed.
    """
    slice_ = tables.slice
    trained_on = tuple(name for name in tables.candidates if name not in held_out)
    groups = tables.questions["dup_group"].to_pylist()
    in_training = pa.array([is_training(group) for group in groups])
    training = tables.questions.filter(in_training)
    complete = _complete(tables.outcomes, training, tables.candidates)
    if answered is not None:
        complete = complete.filter(
            pc.is_in(complete["question_id"], pa.array(sorted(answered), pa.string()))
        )
    selection = select_task_set(
        training,
        complete,
        load_keywords(slice_.benchmark),
        benchmark=slice_.benchmark,
        num_tasks=slice_.num_tasks,
        shots=slice_.shots,
        seed=seed,
        candidates=trained_on,
    )
    prepared = PreparedSlice(slice_.name, directory, trained_on)
    selection.task_set.save(prepared.tasks)
    write_json(directory / "selection.json", selection.document())
    write_table(QUESTIONS, training, prepared.training_questions)
    write_table(QUESTIONS, tables.questions.filter(pc.invert(in_training)), prepared.test_questions)
    write_table(OUTCOMES, tables.outcomes, prepared.outcomes)
    write_cards(build_cards(tables.outcomes, selection.task_set), prepared.cards)
    echo(
        f"{slice_.name}: {len(selection.task_set.tasks)} core tasks; {training.num_rows} questions "
        f"to learn from, {tables.questions.num_rows - training.num_rows} to judge on"
    )
    return prepared


def _complete(outcomes: pa.Table, questions: pa.Table, candidates: Collection[str]) -> pa.Table:
    """Outcomes on the given questions that every candidate has answered, held-out ones too."""
    own = outcomes.filter(
        pc.is_in(outcomes["question_id"], questions["question_id"].combine_chunks())
    )
    counts = own.group_by("question_id").aggregate([("correct", "count")])
    full = counts.filter(pc.equal(counts["correct_count"], len(candidates)))["question_id"]
    return own.filter(pc.is_in(own["question_id"], full.combine_chunks()))
