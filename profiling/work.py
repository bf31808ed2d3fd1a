"""The work of a run: its candidates, its questions, and the results that exist already.

Nothing here starts Ray or an engine, so a run with nothing to do starts neither.
"""

import os
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelsat.aptitude.images import read_image
from modelsat.aptitude.prompts import TEMPERATURE, Prompts, load_prompts
from modelsat.aptitude.tasks import TaskSet, load_tasks
from modelsat.artifacts.hashing import content_hash, file_hash
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table
from modelsat.errors import (
    ArtifactError,
    ConfigError,
    MachineError,
    ModelSatError,
    ZooError,
)
from modelsat.grading.grade import JUDGE
from modelsat.grading.graders import check_question, grader_name, grader_versions
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.zoo_file import Zoo, load_zoo
from profiling.checkpoint import Checkpoint
from profiling.config import ProfileConfig
from profiling.engines import engine_of
from profiling.job import QUESTION_COLUMNS
from profiling.judge_address import find_judge

# Part of the hash since grades were; now they are renewed from the stored answers. It stays, so
# that the work of earlier releases counts as done.
_HASHED_GRADING = 2
OUTCOMES_FOLDER = "outcomes"
CHECKPOINTS_FOLDER = "checkpoints"
OUTCOMES_FILE = "outcomes.parquet"
CARDS_FILE = "cards.parquet"


@dataclass(frozen=True)
class Work:
    """One candidate's part of a run.

    Attributes:
        candidate: the candidate that answers.
        path: file of its outcomes.
        work_hash: hash of everything that changes them.
        checkpoint: its finished batches until the outcomes are written.
        question_ids: questions that it reads, in the order of the files; it is not asked others,
            such as those with tools or images.
    """

    candidate: Candidate
    path: Path
    work_hash: str
    checkpoint: Checkpoint
    question_ids: tuple[str, ...]

    def is_done(self) -> bool:
        """Return whether ``path`` holds exactly this work; a corrupt file does not."""
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
        rows: rows of all questions by id, in the order of the files.
        questions: absolute paths of the questions tables.
        tasks: task set to write cards for, or None.
        prompts: how questions are put.
        works: candidates that can be profiled, in the order of the zoo file.
        refused: the other candidates: reason by name.
    """

    rows: dict[str, dict[str, Any]]
    questions: tuple[str, ...]
    tasks: TaskSet | None
    prompts: Prompts
    works: tuple[Work, ...]
    refused: dict[str, str]

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders of the questions tables, each once."""
        return tuple(dict.fromkeys(str(Path(path).parent) for path in self.questions))

    @property
    def graders(self) -> dict[str, int]:
        """Version of every grader that the questions want, by name."""
        return grader_versions(self.rows.values())


def plan_run(config: ProfileConfig) -> Plan:
    """Read and check everything that a run needs.

    Raises:
        ZooError: the zoo file is refused, or does not hold a named candidate.
        ConfigError: ``remote`` names a candidate that runs on this cluster, or none; or
            questions want a judge, and none is configured.
        ArtifactError: a questions table or the task set is missing or wrong, a question occurs
            in two tables, or a core task's question in none, or a question's gold answer is
            wrong by its own grader, or an image is missing.
    """
    zoo = load_zoo(config.zoo)
    _check_remote(zoo, config)
    rows = _read_questions(config.questions)
    _check_judge(rows, config)
    prompts = load_prompts(config.prompt, rows.values())
    tasks = None if config.tasks is None else load_tasks(config.tasks)
    if tasks is not None:
        _check_covered(tasks, rows, config)
    hashes = sorted(file_hash(path) for path in config.questions)
    graders = grader_versions(rows.values())
    works, refused = [], {}
    for candidate in zoo.select(config.candidates):
        try:
            engine = engine_of(candidate)
            engine.check(prompts)
            readable = tuple(name for name, row in rows.items() if engine.reads(row))
            tokens = max_tokens(candidate, graders, config)
            works.append(_plan_work(candidate, readable, rows, hashes, prompts, tokens, config))
        except ModelSatError as error:
            refused[candidate.name] = str(error)
    return Plan(
        rows=rows,
        questions=tuple(str(path.resolve()) for path in config.questions),
        tasks=tasks,
        prompts=prompts,
        works=tuple(works),
        refused=refused,
    )


def check_writable(output_dir: Path) -> None:
    """Create the output folder, so that a run does not fail when it writes its first result.

    Raises:
        MachineError: it cannot be created or written.
    """
    folder = output_dir / OUTCOMES_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"cannot create output_dir {output_dir}: {error.strerror}; choose another"
        ) from None
    if not os.access(folder, os.W_OK):
        raise MachineError(f"output_dir {output_dir} is not writable; choose another")


def _check_remote(zoo: Zoo, config: ProfileConfig) -> None:
    known = [candidate.name for candidate in zoo.candidates if not candidate.runs_on_cluster]
    for name in config.remote:
        if name not in known:
            raise ConfigError(
                f"remote: {name!r} is not a candidate at a URL in {config.zoo}, which holds "
                f"{', '.join(known) or 'none'}"
            )


def _check_judge(rows: Mapping[str, Mapping[str, Any]], config: ProfileConfig) -> None:
    judged = [name for name, row in rows.items() if grader_name(row) == JUDGE]
    if judged and config.judge is None:
        raise ConfigError(
            f"{len(judged)} questions have the grader 'judge', the first is {judged[0]!r}, but the "
            "configuration names no judge; set judge.name"
        )
    if judged and config.judge is not None:
        find_judge(config.judge, config.zoo)


def max_tokens(
    candidate: Candidate, graders: Iterable[str], config: ProfileConfig
) -> dict[str, int]:
    """Return the most tokens of a candidate's answer, by the name of the question's grader."""
    of_run = config.max_new_tokens
    return {grader: candidate.generation.max_tokens(grader, of_run) for grader in graders}


def tokens_text(tokens: Mapping[str, int]) -> str:
    """Return the most tokens of an answer: "16", or "choice:16,math:1024" by grader."""
    if len({*tokens.values()}) == 1:
        return str(max(tokens.values()))
    return ",".join(f"{grader}:{number}" for grader, number in tokens.items())


def _plan_work(
    candidate: Candidate,
    question_ids: tuple[str, ...],
    rows: Mapping[str, Mapping[str, Any]],
    question_hashes: list[str],
    prompts: Prompts,
    tokens: Mapping[str, int],
    config: ProfileConfig,
) -> Work:
    settings = {
        "candidate": candidate.content_hash(),
        "questions": question_hashes,
        # One number where all graders have it, as before each had its own.
        "max_new_tokens": tokens if len({*tokens.values()}) > 1 else max(tokens.values()),
        "prompt": {"temperature": TEMPERATURE, "prompts": prompts.content_hash()},
        "grading": _HASHED_GRADING,
        **engine_of(candidate).hashed_settings(config.limits(candidate.name)),
    }
    if not question_ids:
        raise ZooError(f"candidate {candidate.name!r} reads none of the questions; leave it out")
    if len(question_ids) < len(rows):
        settings["read"] = content_hash(question_ids)
    work_hash = content_hash(settings)
    checkpoints = config.output_dir.resolve() / CHECKPOINTS_FOLDER
    return Work(
        candidate=candidate,
        path=config.output_dir / OUTCOMES_FOLDER / f"{candidate.slug}.parquet",
        work_hash=work_hash,
        checkpoint=Checkpoint(checkpoints / candidate.slug / work_hash),
        question_ids=question_ids,
    )


def _read_questions(paths: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    """Return the rows by id, in the order of the files."""
    found: dict[str, Path] = {}
    rows: dict[str, dict[str, Any]] = {}
    for path in paths:
        table = read_table(QUESTIONS, path)
        for row in table.select(QUESTION_COLUMNS).to_pylist():
            question_id = row["question_id"]
            if question_id in found:
                raise ArtifactError(
                    f"question {question_id!r} occurs in {found[question_id]} and in {path}; "
                    "every question may occur in one table only"
                )
            check_question(row)
            for image in row["images"] or ():
                read_image(image, [str(path.parent)])
            found[question_id] = path
            rows[question_id] = row
    if not rows:
        raise ArtifactError(f"{', '.join(map(str, paths))}: no question in them; give at least one")
    return rows


def _check_covered(tasks: TaskSet, known: Container[str], config: ProfileConfig) -> None:
    missing = [question_id for question_id in tasks.question_ids if question_id not in known]
    if missing:
        raise ArtifactError(
            f"{config.tasks}: {len(missing)} of {len(tasks.question_ids)} aptitude questions are "
            f"in none of {', '.join(map(str, config.questions))}, the first is {missing[0]!r}; "
            "add the table that holds them"
        )
