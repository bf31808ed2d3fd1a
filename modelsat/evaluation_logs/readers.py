"""The formats by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from modelsat.errors import ConfigError
from modelsat.evaluation_logs.answer import Reader
from modelsat.evaluation_logs.formats.by_id import read_bfcl, read_evalplus, read_swebench
from modelsat.evaluation_logs.formats.helm import read_helm
from modelsat.evaluation_logs.formats.inspect_ai import read_inspect
from modelsat.evaluation_logs.formats.judgements import read_alpaca_eval, read_arena_hard
from modelsat.evaluation_logs.formats.llmrouterbench import read_llmrouterbench
from modelsat.evaluation_logs.formats.lm_eval import read_lm_eval
from modelsat.evaluation_logs.formats.mapped import parse_columns, read_embedllm, read_mapped
from modelsat.evaluation_logs.formats.opencompass import read_opencompass
from modelsat.evaluation_logs.formats.routerarena import read_routerarena
from modelsat.evaluation_logs.formats.routerbench import read_routerbench
from modelsat.evaluation_logs.formats.vlmevalkit import read_vlmevalkit

TABLE = "table"


@dataclass(frozen=True)
class Format:
    """A format that can be imported.

    Attributes:
        describes: one line for `modelsat outcomes formats`.
        read: its reader; None for :data:`TABLE`, whose reader needs the names of columns.
    """

    describes: str
    read: Reader | None


FORMATS: dict[str, Format] = {
    "alpaca_eval": Format("AlpacaEval: annotations.json, wins over a baseline", read_alpaca_eval),
    "arena_hard": Format("Arena-Hard-Auto: model_judgment, wins over a baseline", read_arena_hard),
    "bfcl": Format("Berkeley Function Calling Leaderboard: score and result files", read_bfcl),
    "embedllm": Format("EmbedLLM: CSV with model_name, prompt, label", read_embedllm),
    "evalplus": Format("EvalPlus: eval_results.json", read_evalplus),
    "helm": Format("HELM: run folders after helm-summarize", read_helm),
    "inspect": Format("Inspect: .eval archives and older .json logs", read_inspect),
    "llmrouterbench": Format("LLMRouterBench: result files with records", read_llmrouterbench),
    "lm_eval": Format("lm-evaluation-harness: files of --log_samples", read_lm_eval),
    "opencompass": Format("OpenCompass: predictions and results with details", read_opencompass),
    "routerarena": Format("RouterArena: cached results and predictions", read_routerarena),
    "routerbench": Format("RouterBench: wide table with MODEL|model_response", read_routerbench),
    "swebench": Format("SWE-bench: run reports", read_swebench),
    "vlmevalkit": Format(
        "VLMEvalKit: graded tables as Excel files, TSV, CSV or JSON", read_vlmevalkit
    ),
    TABLE: Format(
        "any CSV, TSV, JSON, JSONL, parquet or Excel file, by --column field=column", None
    ),
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
