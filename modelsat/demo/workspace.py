"""One demo run on disk: its questions, zoo, profile, router and reports.

Every step writes what the public commands read, then runs the command as a user would. Steps
that are done are not done again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from modelsat.aptitude.images import ImageWriter
from modelsat.aptitude.tasks import SHOTS_PER_TASK, build_task_set
from modelsat.artifacts.hashing import directory_hash, file_hash
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_json, read_table, write_json, write_table, write_text
from modelsat.command import run_command
from modelsat.demo.bank import TASKS, generate_questions
from modelsat.demo.pictures import PICTURE_TASKS, generate_picture_questions
from modelsat.demo.vision.candidate import make_vision_candidate, vision_zoo_entry
from modelsat.demo.vision.specs import VisionSpec
from modelsat.demo.zoo import train_zoo, write_demo_zoo
from modelsat.demo.zoo_specs import CandidateSpec
from modelsat.progress import Progress

Echo = Callable[[str], None]

TRAINING_QUESTIONS_PER_TASK = 60
TEST_QUESTIONS_PER_TASK = 20


@dataclass(frozen=True)
class Workspace:
    """Where a demo run lies and what it is made of.

    Attributes:
        directory: folder of the run.
        cache_dir: folder of trained checkpoints, shared between runs.
        specs: the demo candidates.
        seed: seeds questions, zoo and router.
        echo: receives one line of progress at a time.
        vision: the candidate that reads pictures, which brings questions about pictures; None for
            a zoo that reads text only.
    """

    directory: Path
    cache_dir: Path
    specs: tuple[CandidateSpec, ...]
    seed: int
    echo: Echo
    vision: VisionSpec | None = None

    @property
    def candidates(self) -> tuple[str, ...]:
        """Names of the demo candidates."""
        names = [spec.name for spec in self.specs]
        return (*names, self.vision.name) if self.vision else tuple(names)

    @property
    def zoo(self) -> Path:
        """The zoo file."""
        return self.directory / "zoo.yaml"

    @property
    def tasks(self) -> Path:
        """The task set of the aptitude test."""
        return self.directory / "tasks.json"

    @property
    def profile(self) -> Path:
        """The folder of outcomes and cards."""
        return self.directory / "profile"

    @property
    def cards(self) -> Path:
        """The cards table."""
        return self.profile / "cards.parquet"

    @property
    def outcomes(self) -> Path:
        """The outcomes table, of all splits."""
        return self.profile / "outcomes.parquet"

    def questions(self, split: str) -> Path:
        """The questions table of a split."""
        return self.directory / "questions" / f"{split}.parquet"

    def pictures(self, split: str) -> Path:
        """The table of a split's questions about pictures."""
        return self.directory / "questions" / f"pictures-{split}.parquet"

    def router(self, name: str) -> Path:
        """A router directory."""
        return self.directory / "routers" / name

    def report(self, name: str) -> Path:
        """A report folder."""
        return self.directory / "reports" / name

    def make_questions(self) -> None:
        """Write the three splits and the task set."""
        sizes = {
            "aptitude": SHOTS_PER_TASK,
            "training": TRAINING_QUESTIONS_PER_TASK,
            "test": TEST_QUESTIONS_PER_TASK,
        }
        for split, per_task in sizes.items():
            table = generate_questions(split, per_task, self.seed)
            write_table(QUESTIONS, table, self.questions(split), {"seed": self.seed})
            if self.vision:
                self._make_pictures(split, per_task)
        tables = [read_table(QUESTIONS, path) for path in self._tables("aptitude")]
        tasks = (*TASKS, *PICTURE_TASKS) if self.vision else TASKS
        keywords = {task.name: task.keywords for task in tasks}
        build_task_set(pa.concat_tables(tables), keywords).save(self.tasks)
        listed = ", ".join(f"{size} {split}" for split, size in sizes.items())
        self.echo(f"{len(tasks)} tasks; questions a task: {listed}")

    def _make_pictures(self, split: str, per_task: int) -> None:
        table, pictures = generate_picture_questions(split, per_task, self.seed)
        path = self.pictures(split)
        with ImageWriter(path.parent) as images:
            rows = [
                {**row, "images": [images.store(pictures[row["question_id"]], path.parent)]}
                for row in table.to_pylist()
            ]
            write_table(QUESTIONS, rows, path, {"seed": self.seed})

    def _tables(self, split: str) -> list[Path]:
        """The questions tables of a split."""
        return [self.questions(split), *([self.pictures(split)] if self.vision else [])]

    def make_zoo(self) -> None:
        """Train the demo checkpoints that are not cached, and write the zoo file."""
        checkpoints = train_zoo(self.specs, self.seed, self.cache_dir, self.echo)
        more = []
        if self.vision:
            with Progress("train the vision candidate"):
                directory = make_vision_candidate(self.cache_dir, self.seed, self.vision)
            more.append(vision_zoo_entry(directory, self.vision))
        write_demo_zoo(self.specs, checkpoints, self.zoo, more)
        self.echo(f"{len(self.candidates)} checkpoints: {', '.join(self.candidates)}")

    def profile_settings(self) -> dict[str, Any]:
        """Return the configuration of ``modelsat profile`` for the questions of all splits."""
        return {
            "zoo": str(self.zoo),
            "questions": [
                str(path)
                for split in ("aptitude", "training", "test")
                for path in self._tables(split)
            ],
            "tasks": str(self.tasks),
            "output_dir": str(self.profile),
            "max_parallel_candidates": 2,
        }

    def training_settings(self, name: str, candidates: Sequence[str]) -> dict[str, Any]:
        """Return the configuration of ``modelsat train`` for a router on some candidates."""
        return {
            "name": name,
            "storage_path": str(self.directory / "training"),
            "router_dir": str(self.router(name)),
            "data": [
                {
                    "questions": [str(path) for path in self._tables("training")],
                    "outcomes": str(self.outcomes),
                    "cards": str(self.cards),
                    "tasks": str(self.tasks),
                    "candidates": list(candidates),
                }
            ],
            "model": {"base": "tiny", "encoder": "tiny", "max_instruction_tokens": 128},
            "training": {
                "seed": self.seed,
                "batch_size": 16,
                "connector_stage": _stage(epochs=1, rate=1e-3, capability_rate=3e-3),
                "all_stage": _stage(epochs=3, rate=5e-4, capability_rate=1e-3),
            },
        }

    def run_profile(self) -> None:
        """Let every candidate answer the aptitude test and the other splits."""
        self._run("profile", self.profile_settings())

    def run_training(self, name: str, candidates: Sequence[str]) -> None:
        """Train a router on some candidates only."""
        self._run("train", self.training_settings(name, candidates), file_name=f"train-{name}")

    def run_evaluation(self, router: str, candidates: Sequence[str], report: str) -> dict[str, Any]:
        """Judge a router on the test split, unless that is done; returns ``report.json``."""
        arguments = {
            "--router": self.router(router),
            "--cards": self.cards,
            "--questions": self.questions("test"),
            "--outcomes": self.outcomes,
            "--candidates": ",".join(candidates),
            "--exclude-questions": self.tasks,
            "--training-questions": self.questions("training"),
            "--training-outcomes": self.outcomes,
            "--report": self.report(report),
        }
        path, record = self.report(report) / "report.json", self.directory / f"judged-{report}.json"
        files = [path for path in arguments.values() if isinstance(path, Path) and path.is_file()]
        inputs = {
            "candidates": list(candidates),
            "router": directory_hash(self.router(router)),
            "files": [file_hash(path) for path in files],
        }
        if path.is_file() and record.is_file() and read_json(record) == inputs:
            self.echo(f"evaluated before: {path.parent / 'report.html'}")
        else:
            run_command(["evaluate", *(str(p) for it in arguments.items() for p in it)], self.echo)
            write_json(record, inputs)
        return read_json(path)

    def accuracy_by_family(self) -> dict[str, dict[str, float]]:
        """Share correct of each candidate in each family of test questions."""
        categories = self.test_questions().select(["question_id", "category"])
        outcomes = read_table(OUTCOMES, self.outcomes)
        joined = outcomes.join(categories, "question_id", join_type="inner")
        grouped = joined.group_by(["candidate", "category"]).aggregate([("correct", "mean")])
        table: dict[str, dict[str, float]] = {name: {} for name in self.candidates}
        for row in grouped.to_pylist():
            if row["candidate"] in table:
                table[row["candidate"]][row["category"]] = row["correct_mean"]
        return {name: dict(sorted(shares.items())) for name, shares in table.items()}

    def test_questions(self) -> pa.Table:
        """The questions table of the test split."""
        return read_table(QUESTIONS, self.questions("test"))

    def _run(self, command: str, config: dict[str, Any], file_name: str | None = None) -> None:
        path = self.directory / f"{file_name or command}.yaml"
        write_text(path, yaml.safe_dump(config, sort_keys=False))
        run_command([command, "--config", str(path)], self.echo)


def _stage(epochs: int, rate: float, capability_rate: float) -> dict[str, float]:
    return {
        "epochs": epochs,
        "learning_rate": rate,
        "capability_learning_rate": capability_rate,
    }
