"""Profiling killed with -9 at every place goes on where it stopped and ends the same."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_json, read_table, write_table
from modelsat.capability.cards import Card, read_cards
from modelsat.errors import GradingError
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig
from tests.support.profiling.killable import Run, starting_runs
from tests.support.profiling.tiny_model import (
    CONTEXT_WINDOW,
    WORDS,
    greedy_answers,
    save_tiny_model,
    zoo_entry,
)

# Six starts of engines: about three minutes on a quiet machine.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(1500)]

NUM_QUESTIONS = 300
NUM_TOO_LONG = 6  # 2 %, spread over the table: refused by the engine, below max_failed_fraction
NUM_CORE = 40
BLOCK_SIZE = 8
BATCH_SIZE = 4
REPLICAS = 2
MAX_NEW_TOKENS = 12


@dataclass(frozen=True)
class Scene:
    """Inputs of the runs, and the results of one that nobody disturbed."""

    folder: Path
    unbroken: dict[str, Any]

    def values(self, out: str) -> dict[str, Any]:
        """A configuration that writes to a folder of that name."""
        return _values(self.folder, out)


def _values(folder: Path, out: str) -> dict[str, Any]:
    return {
        "zoo": str(folder / "zoo.yaml"),
        "questions": [str(folder / "questions.parquet")],
        "tasks": str(folder / "tasks.json"),
        "output_dir": str(folder / out),
        "block_size": BLOCK_SIZE,
        "batch_size": BATCH_SIZE,
        "max_new_tokens": MAX_NEW_TOKENS,
        "max_truncated_fraction": 1.0,
        "candidate_deadline_s": 600,
    }


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Scene:
    folder = tmp_path_factory.mktemp("resume")
    save_tiny_model(folder / "alpha", seed=0)
    zoo = {"version": 1, "candidates": [zoo_entry("alpha", folder / "alpha")]}
    (folder / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    questions = [_question(i) for i in range(NUM_QUESTIONS)]
    easy = questions[1:NUM_CORE:2]
    prompts = [question["prompt"] for question in easy]
    answers = greedy_answers(folder / "alpha", prompts, MAX_NEW_TOKENS)
    for question, answer in zip(easy, answers, strict=True):
        question.update(answer=answer, n_choices=None)
    write_table(QUESTIONS, questions, folder / "questions.parquet")
    ids = tuple(f"q{i:03d}" for i in range(1, NUM_CORE + 1))
    core = CoreTask(task="words", keywords=("a", "b", "c", "d", "e"), question_ids=ids)
    TaskSet(benchmark="words", tasks=(core,)).save(folder / "tasks.json")
    return Scene(folder, profile_zoo(ProfileConfig.model_validate(_values(folder, "unbroken"))))


def _question(i: int) -> dict[str, Any]:
    is_too_long = i % (NUM_QUESTIONS // NUM_TOO_LONG) == 0
    num_words = CONTEXT_WINDOW + 1 if is_too_long else 2 + i % 7
    words = [WORDS[(7 * i + 3 * j + i // 60) % len(WORDS)] for j in range(num_words)]
    return {
        "question_id": f"q{i:03d}",
        "benchmark": "words",
        "task": "words",
        "prompt": " ".join(words),
        "answer": "A" if i % 3 else "w1",
        "n_choices": 4 if i % 3 else None,
    }


@pytest.fixture
def start(scene: Scene) -> Iterator[Callable[..., Run]]:
    """Start the public command, with a Ray of its own that does not outlive the test."""
    with starting_runs() as begin:

        def _start(out: str, *changes: str) -> Run:
            config = scene.folder / f"{out}.yaml"
            config.write_text(yaml.safe_dump(scene.values(out)))
            return begin(config, scene.folder / out / "checkpoints" / "alpha", *changes)

        yield _start


def test_a_run_killed_at_every_place_repeats_a_block_each_and_ends_the_same(
    scene: Scene, start: Callable[..., Run]
) -> None:
    # The driver, with all that hangs on it.
    run = start("killed", f"replicas={REPLICAS}")
    run.wait_until_kept(NUM_QUESTIONS * 0.4)
    engines = run.workers("ray::MapWorker") + run.workers("VLLM::EngineCore")
    assert len(engines) == 2 * REPLICAS
    run.kill_driver()
    assert not any(engine.is_running() for engine in engines)
    kept_1, lost_1 = run.num_kept(), run.num_lost()
    assert kept_1 < NUM_QUESTIONS - NUM_TOO_LONG
    assert lost_1 <= REPLICAS * BLOCK_SIZE

    # The worker that runs the candidate's pipeline: the command says so and ends.
    run = start("killed")
    run.wait_until_kept(NUM_QUESTIONS * 0.6)
    run.kill_worker("ray::answer_questions")
    stderr = run.end()
    assert run.process.returncode == GradingError.exit_code, stderr
    assert f"alpha: {kept_1} questions are settled by an earlier run" in stderr
    kept_2, lost_2 = run.num_kept(), run.num_lost()
    assert kept_2 < NUM_QUESTIONS - NUM_TOO_LONG
    assert lost_2 - lost_1 <= BLOCK_SIZE

    # The engine: Ray starts another one and the run goes on, to more failed rows than allowed.
    run = start("killed", "max_failed_fraction=0.01", "max_asking_runs=1")
    run.wait_until_kept(NUM_QUESTIONS * 0.8)
    run.kill_worker("ray::MapWorker")
    stderr = run.end()
    assert run.process.returncode == GradingError.exit_code, stderr
    assert f"{NUM_TOO_LONG} of {NUM_QUESTIONS} questions failed" in stderr
    assert not (scene.folder / "killed" / "cards.parquet").exists()
    lost_3 = run.num_lost()
    assert lost_3 - lost_2 <= BLOCK_SIZE

    # Allowed again, there is nothing left to ask.
    run = start("killed", "max_asking_runs=1")
    stderr = run.end()
    assert run.process.returncode == 0, stderr
    [alpha] = read_json(scene.folder / "killed" / "report.json")["candidates"]
    assert alpha["num_failed"] == NUM_TOO_LONG
    assert (alpha["num_resumed"], alpha["num_repeated"]) == (NUM_QUESTIONS, lost_3)
    assert _results(scene.folder / "killed") == _results(scene.folder / "unbroken")
    assert not run.checkpoints.exists()


def _results(out: Path) -> tuple[list[dict[str, Any]], dict[str, Card]]:
    outcomes = read_table(OUTCOMES, out / "outcomes.parquet").to_pylist()
    return outcomes, read_cards(out / "cards.parquet")


def test_bad_rows_are_counted_apart(scene: Scene) -> None:
    [alpha] = scene.unbroken["candidates"]
    kinds = ("num_correct", "num_incorrect", "num_unparsable", "num_truncated")
    assert alpha["num_failed"] == NUM_TOO_LONG
    assert alpha["num_correct"] >= NUM_CORE / 2
    assert sum(alpha[kind] for kind in kinds) == NUM_QUESTIONS - NUM_TOO_LONG
    assert (alpha["num_resumed"], alpha["num_repeated"]) == (0, 0)
