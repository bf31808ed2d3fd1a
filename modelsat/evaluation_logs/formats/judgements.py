"""Judgements of a model against a baseline: AlpacaEval and Arena-Hard. A win scores 1, a draw .5.

Judges disagree, so the outcomes of one judge alone are read together.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from modelsat.errors import ArtifactError
from modelsat.evaluation_logs.answer import LeftOut, LoggedAnswer, read_text
from modelsat.evaluation_logs.rows import Row, files_in, json_lines, json_rows

# Arena-Hard's verdicts, as the score of A.
_VERDICTS = {"A>>B": 1.0, "A>B": 1.0, "A=B": 0.5, "A<B": 0.0, "A<<B": 0.0}
_VERDICTS |= {"B>>A": 0.0, "B>A": 0.0, "B=A": 0.5, "B<A": 1.0, "B<<A": 1.0}


def read_alpaca_eval(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the outcome of ``generator_2`` for each instruction of ``annotations.json``.

    ``preference`` is 1 for the baseline and 2 for the model; weighted annotators give what lies
    between. 0, in older files, is a draw.
    """
    files = files_in(paths, "annotations.json")
    _check_one_judge({path.parent.name for path in files})
    for path in files:
        for row in json_rows(path):
            preference = row.get("preference")
            if not isinstance(preference, int | float) or not (
                1 <= preference <= 2 or not preference
            ):
                left_out.add("annotations without a preference")
                continue
            yield LoggedAnswer(
                candidate=str(row.get("generator_2") or ""),
                prompt=str(row.get("instruction") or ""),
                score=float(preference) - 1 if preference else 0.5,
                task=str(row.get("dataset") or "alpaca_eval"),
                benchmark="alpaca_eval",
                output=row.get("output_2"),
            )


def read_arena_hard(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the outcome of each judged model; the last line of a question counts.

    The judge compares twice, the second time with the two answers swapped.
    """
    files = files_in(paths, "model_judgment/*/*.jsonl")
    _check_one_judge({path.parent.name for path in files})
    for path in files:
        folder = path.parents[2]
        questions = {_uid(row): row for row in json_lines(_beside(folder / "question.jsonl", path))}
        answers_path = folder / "model_answer" / path.name
        outputs = (
            {_uid(row): row for row in json_lines(answers_path)} if answers_path.exists() else {}
        )
        for uid, row in {_uid(row): row for row in json_lines(path)}.items():
            score = _arena_score(row.get("games") or [])
            if score is None or uid not in questions:
                left_out.add("judgements without both verdicts, or without their question")
                continue
            question = questions[uid]
            yield LoggedAnswer(
                candidate=str(row.get("model") or path.stem),
                prompt=read_text(question.get("prompt") or question.get("turns")) or "",
                score=score,
                task=str(question.get("category") or question.get("cluster") or ""),
                benchmark=folder.name,
                output=_arena_output(outputs.get(uid, {})),
            )


def _check_one_judge(names: set[str]) -> None:
    if len(names) > 1:
        raise ArtifactError(
            f"judgements of several judges: {', '.join(sorted(names))}; import one at a time"
        )


def _beside(path: Path, judged: Path) -> Path:
    if not path.exists():
        raise ArtifactError(f"{judged}: {path} is missing; it holds the questions")
    return path


def _uid(row: Row) -> str:
    return str(row.get("uid") or row.get("question_id") or "")


def _arena_score(games: Sequence[Any]) -> float | None:
    """Return the mean of both games: the model is B in the first and A in the second."""
    values = [_VERDICTS.get(str((game or {}).get("score"))) for game in games]
    if len(values) != 2 or None in values:
        return None
    first, second = values
    assert first is not None
    assert second is not None
    return mean([1 - first, second])


def _arena_output(row: Row) -> str | None:
    messages = row.get("messages")
    if messages:
        content = messages[-1].get("content")
        return read_text(content.get("answer") if isinstance(content, dict) else content)
    choices = row.get("choices") or [{}]
    return read_text(choices[0].get("turns"))
