"""The formats by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from modelsat.errors import ConfigError
from modelsat.evaluation_logs.answer import Reader
from modelsat.evaluation_logs.formats.mapped import parse_columns, read_embedllm, read_mapped
from modelsat.evaluation_logs.formats.routerbench import read_routerbench

TABLE = "table"


@dataclass(frozen=True)
class Format:
    """A format that can be imported.

    Attributes:
        describes: what it is, for people.
        read: its reader; None for :data:`TABLE`, whose reader needs the names of columns.
    """

    describes: str
    read: Reader | None


FORMATS: dict[str, Format] = {
    "embedllm": Format("EmbedLLM: CSV with model_name, prompt, label", read_embedllm),
    "routerbench": Format("RouterBench: wide table with MODEL|model_response", read_routerbench),
    TABLE: Format("any CSV, TSV, JSON, JSONL or parquet, by --column field=column", None),
}


def open_reader(name: str, assignments: Sequence[str]) -> Reader:
    """Return the reader of a format.

    Args:
        name: of the format.
        assignments: ``field=column``, for the format ``table`` only.

    Raises:
        ConfigError: the format is unknown, or columns are wrong or belong to another format.
    """
    if name not in FORMATS:
        raise ConfigError(f"unknown format {name!r}; there are {', '.join(FORMATS)}")
    read = FORMATS[name].read
    if read is None:
        return partial(read_mapped, columns=parse_columns(assignments))
    if assignments:
        raise ConfigError(f"--column belongs to the format {TABLE!r}; {name!r} has fixed columns")
    return read
