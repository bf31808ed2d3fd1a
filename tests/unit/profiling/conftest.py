"""A zoo, questions and a task set on disk, small enough for tests without any engine."""

from pathlib import Path

import pytest
import yaml

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import write_table
from profiling.config import ProfileConfig
from tests.support.profiling.zoo_files import QUESTION_IDS, questions, save_model


@pytest.fixture
def config(tmp_path: Path) -> ProfileConfig:
    """Two candidates, two tables of three questions, a task set over the first table."""
    entries = []
    for number, name in enumerate(("alpha", "Beta/2")):
        folder = tmp_path / f"model{number}"
        save_model(folder, float(number))
        loading = {"model_id": name, "model_source": str(folder)}
        llm_config = {"model_loading_config": loading, "engine_kwargs": {"max_model_len": 64}}
        entries.append(
            {"name": name, "engine": "vllm", "context_window": 64, "llm_config": llm_config}
        )
    zoo = {"version": 1, "candidates": entries}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    write_table(QUESTIONS, questions(*QUESTION_IDS[:3]), tmp_path / "aptitude.parquet")
    write_table(QUESTIONS, questions(*QUESTION_IDS[3:]), tmp_path / "train.parquet")
    task = CoreTask(task="t", keywords=("a", "b", "c", "d", "e"), question_ids=QUESTION_IDS[:3])
    TaskSet(benchmark="b", tasks=(task,)).save(tmp_path / "tasks.json")
    return ProfileConfig(
        zoo=tmp_path / "zoo.yaml",
        questions=(tmp_path / "aptitude.parquet", tmp_path / "train.parquet"),
        tasks=tmp_path / "tasks.json",
        output_dir=tmp_path / "out",
        max_failed_fraction=0.2,
    )
