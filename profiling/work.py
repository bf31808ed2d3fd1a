"""What a run has to do: which candidates, which questions, and what is done already.

Nothing here starts Ray or an engine, so a run with nothing to do starts neither.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from modelsat.aptitude.grading import GRADING_VERSION
from modelsat.aptitude.prompts import Prompts, load_prompts
from modelsat.aptitude.tasks import TaskSet, load_tasks
from modelsat.artifacts.hashing import content_hash, file_hash
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table
from modelsat.errors import ArtifactError, ConfigError, MachineError, ModelSatError, ZooError
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.engines.vllm import VllmCandidate
from modelsat.zoo.zoo_file import Zoo, load_zoo
from profiling.checkpoint import Checkpoint
from profiling.config import ProfileConfig
from profiling.rendering import PROMPT_SETTINGS

OUTCOMES_FOLDER = "outcomes"
CHECKPOINTS_FOLDER = "checkpoints"
OUTCOMES_FILE = "outcomes.parquet"
CARDS_FILE = "cards.parquet"


@dataclass(frozen=True)
class Work:
    """One candidate's part of a run.

    Attributes:
        candidate: who answers.
        path: where its outcomes go.
        work_hash: hash of everything that changes them.
        checkpoint: what is kept of it until it is done.
    """

    candidate: Candidate
    path: Path
    work_hash: str
    checkpoint: Checkpoint

    def is_done(self) -> bool:
        """Whether the file at ``path`` holds exactly this work; a corrupt one does not."""
        if not self.path.exists():
            return False
        try:
            manifest = read_manifest(self.path)
        except ArtifactError:
            return False
        expected = (self.candidate.name, self.work_hash)
        return (manifest.get("candidate"), manifest.get("work_hash")) == expected


@dataclass(frozen=True)
class Plan:
    """A whole run.

    Attributes:
        question_ids: ids of all questions, in the order of the files.
        question_tasks: the tasks that the tables give them, in the same order.
        questions: absolute paths of the questions tables.
        tasks: task set to write cards for, or None.
        prompts: how questions are put.
        works: candidates that can be profiled, in the order of the zoo file.
        refused: reason by name of candidates that cannot.
    """

    question_ids: tuple[str, ...]
    question_tasks: tuple[str, ...]
    questions: tuple[str, ...]
    tasks: TaskSet | None
    prompts: Prompts
    works: tuple[Work, ...]
    refused: dict[str, str]


def plan_run(config: ProfileConfig) -> Plan:
    """Read and check everything a run needs.

    Raises:
        ZooError: the zoo file is wrong, or holds no candidate of a given name.
        ConfigError: limits are given for what is no candidate behind a URL.
        ArtifactError: a questions table or the task set is missing or wrong, a question occurs
            in two tables, or a core task's question in none.
    """
    zoo = load_zoo(config.zoo)
    _check_remote(zoo, config)
    asked = _read_questions(config.questions)
    question_ids = tuple(asked)
    prompts = load_prompts(config.prompt, asked.values())
    tasks = None if config.tasks is None else load_tasks(config.tasks)
    if tasks is not None:
        _check_covered(tasks, question_ids, config)
    hashes = sorted(file_hash(path) for path in config.questions)
    works, refused = [], {}
    for candidate in zoo.select(config.candidates):
        try:
            if isinstance(candidate, VllmCandidate):
                check_model_files(candidate)
            else:
                _check_asks_by_chat(candidate, prompts)
            works.append(_plan_work(candidate, hashes, prompts, config))
        except ModelSatError as error:
            refused[candidate.name] = str(error)
    return Plan(
        question_ids=question_ids,
        question_tasks=tuple(row["task"] for row in asked.values()),
        questions=tuple(str(path.resolve()) for path in config.questions),
        tasks=tasks,
        prompts=prompts,
        works=tuple(works),
        refused=refused,
    )


def check_model_files(candidate: VllmCandidate) -> None:
    """Refuse a local directory whose model cannot load; a hub id is left to the engine.

    Reads headers only, so a broken checkpoint is named at once and by file, where its engine
    would need half a minute to say less.

    Raises:
        ZooError: no model directory, or a file of it is corrupt.
    """
    candidate.check_source()
    folder = Path(candidate.source)
    for weights in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(weights, framework="numpy") as tensors:
                tensors.keys()
        except (SafetensorError, OSError) as error:
            raise ZooError(
                f"candidate {candidate.name!r}: {weights} is corrupt or cut short ({error}); "
                "copy the model directory anew"
            ) from None


def check_writable(output_dir: Path) -> None:
    """Make the output folder, so that a run does not end where it would write its first result.

    Raises:
        MachineError: it cannot be made or written.
    """
    folder = output_dir / OUTCOMES_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"cannot make output_dir {output_dir}: {error.strerror}; choose another"
        ) from None
    if not os.access(folder, os.W_OK):
        raise MachineError(f"output_dir {output_dir} is not writable; choose another")


def _check_remote(zoo: Zoo, config: ProfileConfig) -> None:
    known = [c.name for c in zoo.candidates if isinstance(c, OpenAICandidate)]
    for name in config.remote:
        if name not in known:
            raise ConfigError(
                f"remote: {name!r} is no candidate of engine openai in {config.zoo}; it holds "
                f"{', '.join(known) or 'none'}"
            )


def _check_asks_by_chat(candidate: Candidate, prompts: Prompts) -> None:
    if not prompts.chat_template or prompts.scoring != "generated":
        raise ZooError(
            f"candidate {candidate.name!r} answers chats behind a URL, which tells no likelihood "
            "of options and takes no plain text; ask it with prompt.chat_template: true and "
            "prompt.scoring: generated, or leave it out with candidates: [...]"
        )


def _plan_work(
    candidate: Candidate, question_hashes: list[str], prompts: Prompts, config: ProfileConfig
) -> Work:
    changing = {
        "candidate": candidate.content_hash(),
        "questions": question_hashes,
        "max_new_tokens": config.max_new_tokens,
        "prompt": {**PROMPT_SETTINGS, "prompts": prompts.content_hash()},
        "grading": GRADING_VERSION,
    }
    if isinstance(candidate, OpenAICandidate):
        changing["request_fields"] = config.limits(candidate.name).request_fields
    work_hash = content_hash(changing)
    checkpoints = config.output_dir.resolve() / CHECKPOINTS_FOLDER
    return Work(
        candidate=candidate,
        path=config.output_dir / OUTCOMES_FOLDER / f"{candidate.slug}.parquet",
        work_hash=work_hash,
        checkpoint=Checkpoint(checkpoints / candidate.slug / work_hash),
    )


def _read_questions(paths: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    """Rows by id, in the order of the files, with what prompts are checked by."""
    found: dict[str, Path] = {}
    rows: dict[str, dict[str, Any]] = {}
    for path in paths:
        table = read_table(QUESTIONS, path)
        for row in table.select(["question_id", "task", "prompt", "n_choices"]).to_pylist():
            question_id = row["question_id"]
            if question_id in found:
                raise ArtifactError(
                    f"question {question_id!r} occurs in {found[question_id]} and in {path}; "
                    "every question may occur in one table only"
                )
            found[question_id] = path
            rows[question_id] = row
    if not rows:
        raise ArtifactError(f"{', '.join(map(str, paths))}: no question at all; give at least one")
    return rows


def _check_covered(tasks: TaskSet, question_ids: tuple[str, ...], config: ProfileConfig) -> None:
    known = set(question_ids)
    missing = [question_id for question_id in tasks.question_ids if question_id not in known]
    if missing:
        raise ArtifactError(
            f"{config.tasks}: {len(missing)} of {len(tasks.question_ids)} aptitude questions are "
            f"in none of {', '.join(map(str, config.questions))}, the first is {missing[0]!r}; "
            "add the table that holds them"
        )
