"""The five keywords that describe each core task to the router.

The shipped keywords cover MMLU (by task), MMLU-Pro (by category), BBH, GSM8K, MATH, WinoGrande,
ARC-Challenge, BoolQ, TruthfulQA, MRPC, MNLI and MMMU; for other benchmarks the user passes a file.
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from modelsat.aptitude.tasks import NUM_KEYWORDS
from modelsat.config import read_yaml_mapping
from modelsat.errors import ConfigError

Keywords = dict[str, tuple[str, ...]]


def load_keywords(benchmark: str, path: str | Path | None = None) -> Keywords:
    """Load keywords by task from a file, or the shipped keywords of a benchmark.

    Args:
        benchmark: value of the questions' column ``benchmark``.
        path: YAML or JSON file, a mapping from task to five keywords; it replaces the shipped
            keywords.

    Raises:
        ConfigError: the benchmark has no shipped keywords, or the file is invalid.
    """
    if path is not None:
        return parse_keywords(read_yaml_mapping(path), source=str(path))
    shipped = json.loads(files("modelsat.aptitude").joinpath("keywords.json").read_text("utf-8"))
    if benchmark not in shipped:
        raise ConfigError(
            f"no keywords are shipped for benchmark {benchmark!r}, only for "
            f"{', '.join(shipped)}; pass a file that maps each task to {NUM_KEYWORDS} keywords"
        )
    return parse_keywords(shipped[benchmark], source=f"keywords of {benchmark}")


def parse_keywords(values: Mapping[Any, Any], *, source: str) -> Keywords:
    """Check a mapping from task to keywords.

    Raises:
        ConfigError: a task does not have five distinct texts without commas; names the first.
    """
    keywords = {}
    for task, words in values.items():
        texts = words if isinstance(words, list | tuple) else ()
        valid = {text.strip() for text in texts if isinstance(text, str) and "," not in text}
        if len(texts) != NUM_KEYWORDS or len(valid - {""}) != NUM_KEYWORDS:
            raise ConfigError(
                f"{source}: task {str(task)!r} has {words!r}; list {NUM_KEYWORDS} different "
                "keywords without commas"
            )
        keywords[str(task)] = tuple(text.strip() for text in texts)
    return keywords
