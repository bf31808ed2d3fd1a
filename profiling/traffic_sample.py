"""The sample of own prompts that a collection asks, drawn once and kept in its folder."""

import sys
from pathlib import Path
from typing import Any

from modelsat.artifacts.hashing import content_hash, file_hash
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_manifest, read_table, write_table
from modelsat.errors import ConfigError, MachineError
from modelsat.traffic.reading import PromptReader, prompt_files
from modelsat.traffic.redaction import load_redaction
from modelsat.traffic.sampling import sample_traffic
from profiling.collect_config import CollectConfig
from profiling.config import AskingConfig

_SAMPLE_FILE = "sample.parquet"

Row = dict[str, Any]


def kept_sample(config: CollectConfig) -> tuple[list[Row], dict[str, Any]]:
    """Return the sample that the folder holds, or draw and write it.

    Raises:
        ConfigError: the folder holds another sample.
    """
    path = config.output_dir / _SAMPLE_FILE
    wanted = _sample_hash(config)
    if not path.exists():
        _write_sample(path, wanted, config)
    manifest = read_manifest(path)
    if manifest.get("sample_hash") != wanted:
        raise ConfigError(
            f"{config.output_dir} holds a sample of other prompts or with other settings; "
            "choose another output_dir, or delete it"
        )
    return read_table(QUESTIONS, path).to_pylist(), manifest["facts"]


def _write_sample(path: Path, sample_hash: str, config: CollectConfig) -> None:
    try:
        config.output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot create {config.output_dir}: {error.strerror}") from None
    questions, facts = draw_sample(config)
    sys.stderr.write(f"collect: {sample_text(facts)}\n")
    write_table(QUESTIONS, questions, path, {"sample_hash": sample_hash, "facts": facts})


def draw_sample(config: CollectConfig) -> tuple[list[Row], dict[str, Any]]:
    """Read prompts and sample them; writes nothing.

    Returns:
        Rows of a questions table in the order in which they are asked, and counts of prompts, rows
        left out, and topics.
    """
    reader = PromptReader(config.text, config.turns_chars)
    sample = sample_traffic(
        reader.read(config.prompts),
        num_prompts=config.num_prompts,
        num_topics=config.num_topics,
        similarity=config.duplicate_similarity,
        encoder=config.encoder,
        default_grader=config.default_grader,
        redact=load_redaction(config.redact) if config.redact else None,
        seed=config.seed,
    )
    facts = {
        "num_read": sample.num_read,
        "left_out": dict(reader.left_out),
        "num_distinct": sample.num_distinct,
        "num_sampled": len(sample.questions),
        "topics": [vars(topic) for topic in sample.topics],
    }
    return list(sample.questions), facts


def _sample_hash(config: CollectConfig) -> str:
    drawn = set(CollectConfig.model_fields) - set(AskingConfig.model_fields) - {"budget", "prompts"}
    settings = config.model_dump(mode="json", include=drawn)
    hashes = [file_hash(file) for file in prompt_files(config.prompts)]
    return content_hash([hashes, settings, config.default_grader])


def sample_text(facts: dict[str, Any]) -> str:
    """Return the counts of a sample as a line for people."""
    left_out = sum(facts["left_out"].values())
    return (
        f"{facts['num_read']} prompts read, {left_out} rows left out, "
        f"{facts['num_distinct']} without near duplicates, {facts['num_sampled']} sampled from "
        f"{len(facts['topics'])} topics"
    )
