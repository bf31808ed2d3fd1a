"""Outcomes in files equal the outcomes in memory, for every reader."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.errors import ArtifactError, ZooError
from modelsat.outcomes.joining import load_matrix
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.outcomes.splits import split_validation
from modelsat.training.batches import BatchSampler
from tests.support.router_parts import TOPICS, make_cards
from train_jobs.config import DataSetConfig
from train_jobs.outcome_files import (
    QUESTIONS_PER_FILE,
    OutcomeFiles,
    Split,
    open_outcome_files,
    write_outcome_files,
)

pytestmark = pytest.mark.ray

CARDS = tuple(make_cards(4))
NUM_QUESTIONS = int(2.5 * QUESTIONS_PER_FILE)
EXCLUDED = frozenset({"q3", "q5000"})
FRACTION, SEED = 0.2, 7


def write_tables(folder: Path, *, backwards: bool = False) -> DataSetConfig:
    """Two tables of questions, and outcomes with a third missing, in blocks of 5,000."""
    rng = np.random.default_rng(0)
    names = [card.candidate for card in CARDS]
    questions = [
        {
            "question_id": f"q{i}",
            "benchmark": "toy",
            "task": TOPICS[i % len(TOPICS)],
            "prompt": f"Number {i}? " + "x" * int(rng.integers(1, 200)),
            "answer": "x",
            "dup_group": f"g{i // 2}" if i % 3 else None,
        }
        for i in range(NUM_QUESTIONS)
    ]
    outcomes = [
        {"question_id": row["question_id"], "candidate": name, "source": source, "correct": value}
        for row in questions
        for name in (*names, "stranger")
        for source, value in (("here", float(rng.integers(0, 2))), ("elsewhere", 0.5))
        if rng.random() < 2 / 3
    ]
    outcomes += [
        {"question_id": f"gone{i}", "candidate": names[0], "source": "here", "correct": 1.0}
        for i in range(9)
    ]
    outcomes.append({"question_id": "q1", "candidate": names[0], "source": "odd", "correct": None})
    if backwards:
        questions.reverse()
        outcomes.reverse()
    folder.mkdir()
    half = NUM_QUESTIONS // 3
    write_table(QUESTIONS, questions[:half], folder / "first.parquet")
    write_table(QUESTIONS, questions[half:], folder / "second.parquet")
    write_table(OUTCOMES, outcomes, folder / "outcomes.parquet")
    return DataSetConfig(
        questions=(folder / "first.parquet", folder / "second.parquet"),
        outcomes=folder / "outcomes.parquet",
        sources=("here",),
        cards=folder / "unused",
        tasks=folder / "unused",
    )


def split_of(**changes: Any) -> Split:
    options = {"cards": CARDS, "excluded": EXCLUDED, "validation_fraction": FRACTION, "seed": SEED}
    return Split(**{**options, **changes})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSetConfig:
    return write_tables(tmp_path_factory.mktemp("tables") / "forwards")


@pytest.fixture(scope="module")
def files(
    data: DataSetConfig, ray_cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> OutcomeFiles:
    folder = tmp_path_factory.mktemp("files")
    write_outcome_files(data, split_of(), folder)
    return open_outcome_files(folder, CARDS)


def rows_of(matrix: OutcomeMatrix) -> dict[str, tuple]:
    columns = (matrix.instructions, matrix.tasks, matrix.categories, matrix.groups)
    texts = zip(*columns, strict=True)
    values = [tuple(row) for row in np.nan_to_num(matrix.correct_QM, nan=-1).tolist()]
    return dict(zip(matrix.question_ids, zip(texts, values, strict=True), strict=True))


def test_files_equal_the_tables_joined_in_memory(files: OutcomeFiles, data: DataSetConfig) -> None:
    whole = load_matrix(
        data.questions, data.outcomes, CARDS, sources=data.sources, exclude_questions=EXCLUDED
    )
    for stored, expected in zip(
        (files.training, files.validation), split_validation(whole, FRACTION, SEED), strict=True
    ):
        assert len(stored) == len(expected)
        assert rows_of(stored.sample(len(stored), seed=0)) == rows_of(expected)
    assert files.num_unknown == 9


def test_files_do_not_depend_on_the_order_of_tables(files: OutcomeFiles, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    write_outcome_files(write_tables(tmp_path / "backwards", backwards=True), split_of(), folder)
    again = open_outcome_files(folder, CARDS)
    for one, two in zip(files.training.files, again.training.files, strict=True):
        assert (one[0].name, one[1]) == (two[0].name, two[1])
        assert one[0].read_bytes() == two[0].read_bytes()


def test_epoch_uses_every_instruction_once(files: OutcomeFiles) -> None:
    def batches(rank: int, num_workers: int, batch_size: int) -> list[tuple[str, ...]]:
        sampler = BatchSampler(
            [files.training],
            batch_size=batch_size,
            composites=2,
            seed=1,
            rank=rank,
            num_workers=num_workers,
        )
        return [batch.instructions for batch in sampler.epoch(1)]

    alone = batches(0, 1, 32)
    seen = [text for batch in alone for text in batch]
    assert len(seen) == len(set(seen)) == len(files.training) // 32 * 32
    shared = zip(batches(0, 2, 16), batches(1, 2, 16), strict=True)
    for step, (first, second) in zip(alone, shared, strict=True):
        assert sorted(step) == sorted((*first, *second))
    # A window's instructions come from all over the table.
    numbers = [int(text.split("?")[0].removeprefix("Number ")) for text in seen[: 32 * 16]]
    quarters, _ = np.histogram(numbers, bins=4, range=(0, NUM_QUESTIONS))
    assert quarters.min() > 0.15 * len(numbers)


def test_padding_is_little(files: OutcomeFiles) -> None:
    sampler = BatchSampler([files.training], batch_size=32, composites=0, seed=1)
    lengths = [[len(text) for text in batch.instructions] for batch in sampler.epoch(1)]
    padded = sum(max(one) * len(one) for one in lengths)
    assert 1 - sum(map(sum, lengths)) / padded < 0.1


def test_complete_files_are_not_made_again(files: OutcomeFiles, data: DataSetConfig) -> None:
    folder = files.training.files[0][0].parents[1]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    write_outcome_files(data, split_of(), folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == before


@pytest.mark.parametrize(
    ("changes", "options", "error", "reason"),
    [
        ({"sources": ("nowhere",)}, {}, ArtifactError, "no outcome of source 'nowhere'; it has"),
        ({"sources": None}, {}, ArtifactError, "has two outcomes for 'q[0-9]+' .two sources"),
        ({"questions": "twice"}, {}, ArtifactError, "question 'q[0-9]+' occurs twice in"),
        ({}, {"validation_fraction": 1e-9}, ArtifactError, "too few to keep 0% for validation"),
        ({}, {"cards": (*CARDS, make_cards(5)[4])}, ZooError, "no outcome for candidate-4 on"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    data: DataSetConfig,
    ray_cluster: None,
    tmp_path: Path,
    changes: dict[str, Any],
    options: dict[str, Any],
    error: type[Exception],
    reason: str,
) -> None:
    if changes.get("questions") == "twice":
        again = shutil.copy(data.questions[0], tmp_path / "again.parquet")
        changes = {"questions": (*data.questions, again)}
    with pytest.raises(error, match=reason):
        write_outcome_files(data.model_copy(update=changes), split_of(**options), tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))
