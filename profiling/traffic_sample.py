"""The sample of own prompts that a collection asks, drawn once and kept in its folder."""

import sys
from pathlib import Path
from typing import Any

from modelsat.artifacts.hashing import content_hash, file_hash
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table, write_table
from modelsat.errors import ArtifactError, ConfigError, MachineError
from modelsat.grading.grade import VOTE
from modelsat.grading.graders import grader_name
from modelsat.grading.voting import MIN_VOTERS
from modelsat.traffic.reading import PromptReader, prompt_files
from modelsat.traffic.redaction import load_redaction
from modelsat.traffic.sampling import sample_traffic
from profiling.collect_config import CollectConfig
from profiling.config import AskingConfig

_SAMPLE_FILE = "sample.parquet"

Row = dict[str, Any]


def kept_sample(config: CollectConfig, num_candidates: int) -> tuple[list[Row], dict[str, Any]]:
    """Return the sample that the folder holds, or draw and write it.

    Raises:
        ConfigError: the folder holds a sample that was drawn with other settings; or as
            :func:`draw_sample`.
    """
    path = config.output_dir / _SAMPLE_FILE
    wanted = _settings_hash(config)
    if not path.exists():
        _write_sample(path, wanted, config, num_candidates)
    manifest = read_manifest(path)
    if manifest.get("settings_hash") != wanted:
        raise ConfigError(
            f"{config.output_dir} holds a sample that was drawn with other settings; choose "
            "another output_dir, or delete it"
        )
    if manifest["files_hash"] != _files_hash(config):
        sys.stderr.write(
            "collect: the prompts have changed since the sample was drawn; it stays as it is\n"
        )
    return read_table(QUESTIONS, path).to_pylist(), manifest["facts"]


def _write_sample(
    path: Path, settings_hash: str, config: CollectConfig, num_candidates: int
) -> None:
    try:
        config.output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot create {config.output_dir}: {error.strerror}") from None
    questions, facts = draw_sample(config, num_candidates)
    for line in sample_lines(facts):
        sys.stderr.write(f"collect: {line}\n")
    hashes = {"settings_hash": settings_hash, "files_hash": _files_hash(config)}
    write_table(QUESTIONS, questions, path, {**hashes, "facts": facts})


def draw_sample(config: CollectConfig, num_candidates: int) -> tuple[list[Row], dict[str, Any]]:
    """Read prompts and sample them; writes nothing.

    Returns:
        Rows of a questions table in the order in which they are asked, and counts of prompts, rows
        left out, and topics.

    Raises:
        ConfigError: the answers to a prompt need a vote, but too few candidates are asked.
    """
    reader = PromptReader(config.text, config.turns_chars)
    try:
        sample = sample_traffic(
            reader.read(prompt_files(config.prompts, without=config.output_dir)),
            num_prompts=config.num_prompts,
            num_topics=config.num_topics,
            similarity=config.duplicate_similarity,
            encoder=config.encoder,
            default_grader=config.default_grader,
            redact=load_redaction(config.redact) if config.redact else None,
            seed=config.seed,
        )
    except ArtifactError as error:
        left_out = "".join(f"; left out: {n} ({why})" for why, n in reader.left_out.items())
        raise ArtifactError(f"{error}{left_out}") from None
    num_voted = sum(grader_name(row) == VOTE for row in sample.questions)
    if num_voted and num_candidates < MIN_VOTERS:
        raise ConfigError(
            f"{num_voted} prompts have no gold answer, and {num_candidates} candidates cannot "
            f"vote; ask at least {MIN_VOTERS}, or name a judge"
        )
    facts = {
        "num_read": sample.num_read,
        "left_out": dict(reader.left_out),
        "num_emptied": sample.num_emptied,
        "num_distinct": sample.num_distinct,
        "num_sampled": len(sample.questions),
        "topics": [vars(topic) for topic in sample.topics],
    }
    return list(sample.questions), facts


def _settings_hash(config: CollectConfig) -> str:
    drawn = set(CollectConfig.model_fields) - set(AskingConfig.model_fields) - {"budget", "prompts"}
    return content_hash([config.model_dump(mode="json", include=drawn), config.default_grader])


def _files_hash(config: CollectConfig) -> str:
    files = prompt_files(config.prompts, without=config.output_dir)
    return content_hash([file_hash(file) for file in files])


def sample_lines(facts: dict[str, Any]) -> list[str]:
    """Return the counts of a sample as lines for people."""
    lines = [
        f"{facts['num_read']} prompts read, {facts['num_distinct']} without near duplicates, "
        f"{facts['num_sampled']} sampled from {len(facts['topics'])} topics"
    ]
    if facts["num_emptied"]:
        lines.append(f"left out: {facts['num_emptied']} (no text after redaction)")
    return lines + [f"left out: {number} ({why})" for why, number in facts["left_out"].items()]
