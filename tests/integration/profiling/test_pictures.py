"""A vision-language model sees pictures on vLLM; a text model is not asked about them."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from modelsat.aptitude.images import ImageWriter
from modelsat.aptitude.tasks import build_task_set
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.capability.cards import read_cards
from modelsat.demo.bank import TASKS, generate_questions
from modelsat.demo.pictures import PICTURE_TASKS, generate_picture_questions
from modelsat.demo.vision.candidate import make_vision_candidate, vision_zoo_entry
from modelsat.demo.vision.specs import VISION_CANDIDATE
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig
from tests.support.picture_answers import answer_picture_prompts
from tests.support.profiling.url_bench import remote
from tests.support.upstream import running_upstream

pytestmark = pytest.mark.ray

MAX_NEW_TOKENS = 16  # as the checkpoint's own generation settings
# Trained for seconds: what it says differs between pictures, and need not be right.
SPEC = replace(VISION_CANDIDATE, alignment_steps=5, steps=40, num_layers=1)


def _write_questions(folder: Path) -> dict[str, bytes]:
    """One question of each picture task and of two text tasks, and their task set."""
    table, pictures = generate_picture_questions("aptitude", 1, seed=0)
    with ImageWriter(folder) as images:
        rows = [
            {**row, "images": [images.store(pictures[row["question_id"]], folder)]}
            for row in table.to_pylist()
        ]
    texts = [
        row
        for row in generate_questions("aptitude", 1, 0).to_pylist()
        if row["task"] in (TASKS[0].name, TASKS[1].name)
    ]
    write_table(QUESTIONS, [*rows, *texts], folder / "questions.parquet")
    keywords = {task.name: task.keywords for task in (*PICTURE_TASKS, *TASKS[:2])}
    questions = pa.Table.from_pylist([*rows, *texts], schema=QUESTIONS.arrow)
    build_task_set(questions, keywords, shots=1).save(folder / "tasks.json")
    return pictures


def test_pictures_reach_the_engine_and_only_candidates_that_read_them(
    tmp_path: Path, ray_cluster: None
) -> None:
    pictures = _write_questions(tmp_path)
    directory = make_vision_candidate(tmp_path / "cache", 0, SPEC)
    with running_upstream() as upstream:
        entries = [vision_zoo_entry(directory, SPEC), remote("blind", upstream.url)]
        (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "candidates": entries}))
        report = profile_zoo(
            ProfileConfig(
                zoo=tmp_path / "zoo.yaml",
                questions=(tmp_path / "questions.parquet",),
                tasks=tmp_path / "tasks.json",
                output_dir=tmp_path / "out",
                max_new_tokens=MAX_NEW_TOKENS,
                max_truncated_fraction=1.0,
                max_parallel_candidates=2,
            )
        )
        assert report["failures"] == []
        assert upstream.num_requests.total() == 2

    outcomes = read_table(OUTCOMES, tmp_path / "out" / "outcomes.parquet").to_pylist()
    said = {row["question_id"]: row["output"] for row in outcomes if row["candidate"] == SPEC.name}
    prompts = read_table(QUESTIONS, tmp_path / "questions.parquet").to_pylist()
    names = [row["question_id"] for row in prompts if row["images"]]
    expected = answer_picture_prompts(
        directory,
        [row["prompt"] for row in prompts if row["images"]],
        [pictures[name] for name in names],
    )
    same = [said[name].strip() == text.strip() for name, text in zip(names, expected, strict=True)]
    assert sum(same) >= len(names) - 1  # a near tie may round differently on another processor
    assert len(set(expected)) > 1

    cards = read_cards(tmp_path / "out" / "cards.parquet")
    assert len(cards[SPEC.name].statements) == len(PICTURE_TASKS) + 2
    assert [s.task for s in cards["blind"].statements] == [TASKS[0].name, TASKS[1].name]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<img src=") == len(PICTURE_TASKS)
