"""VLMEvalKit: graded tables (``MODEL_DATASET_JUDGE_result``, ``..._auxmatch``, ``..._results``).

Tables are Excel files by default, or TSV, CSV or JSON (``PRED_FORMAT=tsv``). A picture is not in
the table: questions are aligned by their text and their index.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from string import ascii_uppercase

from modelsat.errors import ArtifactError
from modelsat.evaluation_logs.answer import (
    LeftOut,
    LoggedAnswer,
    read_output,
    read_score,
    read_text,
)
from modelsat.evaluation_logs.rows import Row, files_in, table_rows

_PATTERNS = tuple(
    f"*_{what}.{kind}"
    for what in ("result", "auxmatch", "results")
    for kind in ("xlsx", "tsv", "csv", "json")
)
_SCORES = ("hit", "score", "eval_score")
_FAILED = "Failed to obtain answer"


def read_vlmevalkit(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the answers of graded tables, whose folder above the run's names the model."""
    for path in files_in(paths, *_PATTERNS):
        candidate = next(
            (part for part in reversed(path.parts[:-1]) if path.name.startswith(f"{part}_")), ""
        )
        if not candidate:
            raise ArtifactError(
                f"{path}: no folder above it is the model that its name begins with"
            )
        dataset = path.name.removeprefix(f"{candidate}_").partition("_")[0].partition(".")[0]
        for row in table_rows(path):
            value = next((row[name] for name in _SCORES if row.get(name) not in (None, "")), None)
            score = read_score(value)
            if str(row.get("prediction") or "").startswith(_FAILED):
                left_out.add("requests that failed")
            elif score is None:
                left_out.add("rows without a score between 0 and 1")
            else:
                yield _answer(row, candidate, dataset, score)


def _answer(row: Row, candidate: str, dataset: str, score: float) -> LoggedAnswer:
    named = {**row, **{name.upper(): value for name, value in row.items() if len(name) == 1}}
    options = [
        f"{letter}. {text}" for letter in ascii_uppercase if (text := read_text(named.get(letter)))
    ]
    parts = [read_text(row.get("hint")), read_text(row.get("question")), *options]
    return LoggedAnswer(
        candidate=candidate,
        prompt="\n".join([f"[image {row.get('index')}]", *filter(None, parts)]),
        score=score,
        task=str(row.get("category") or dataset),
        benchmark=dataset,
        answer=read_text(row.get("answer")) or "",
        n_choices=len(options) or None,
        output=read_output(row.get("prediction")),
    )
