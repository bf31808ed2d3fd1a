"""A folder of real tables, and what routers learn from it or are judged on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table
from modelsat.errors import ArtifactError
from modelsat.outcomes.leak_groups import with_leak_groups
from modelsat.quality.guests import CROWD_SOURCE, PAIR_SOURCE, PAIR_TEST, Guests, guests_from
from modelsat.quality.slices import SLICES, SliceTables, take_slice

Echo = Callable[[str], None]


@dataclass(frozen=True)
class RealTables:
    """What a folder holds.

    Attributes:
        slices: benchmarks that one zoo answered.
        pair: RouteLLM's two candidates, if they are there.
        crowd: FastEval's zoo, if it is there.
    """

    slices: tuple[SliceTables, ...]
    pair: Guests | None
    crowd: Guests | None

    @property
    def answered(self) -> Mapping[str, frozenset[str]]:
        """By slice, the questions to which its aptitude test is bound for a guest's sake."""
        return {} if self.pair is None else {PAIR_TEST: self.pair.answered(PAIR_TEST)}


def load_tables(data_dir: Path, echo: Echo) -> RealTables:
    """Read the questions and outcomes tables of a folder and say what is taken and left out.

    Raises:
        ArtifactError: a table is missing or malformed, an outcome stands for an unknown question,
            or no slice is there.
    """
    questions = with_leak_groups(read_table(QUESTIONS, data_dir / "questions.parquet"))
    outcomes = read_table(OUTCOMES, data_dir / "outcomes.parquet")
    _refuse_unknown(questions, outcomes, data_dir)
    slices = []
    for slice_ in SLICES:
        tables = take_slice(slice_, questions, outcomes)
        if tables is None:
            echo(f"{slice_.name}: not in {data_dir}")
            continue
        echo(
            f"{slice_.name}: {tables.questions.num_rows} questions, "
            f"{len(tables.candidates)} candidates{_left_out(tables)}"
        )
        slices.append(tables)
    if not slices:
        wanted = ", ".join(f"{s.benchmark} ({' + '.join(s.sources)})" for s in SLICES)
        raise ArtifactError(f"{data_dir} holds none of the benchmarks to train on: {wanted}")
    _say_unused(outcomes, echo)
    pair, crowd = (guests_from(name, questions, outcomes) for name in (PAIR_SOURCE, CROWD_SOURCE))
    return RealTables(tuple(slices), pair, crowd)


def _refuse_unknown(questions: pa.Table, outcomes: pa.Table, data_dir: Path) -> None:
    known = pc.is_in(outcomes["question_id"], questions["question_id"].combine_chunks())
    unknown = outcomes.filter(pc.invert(known))["question_id"]
    if len(unknown):
        raise ArtifactError(
            f"{data_dir}: {len(unknown)} outcomes stand for questions that questions.parquet "
            f"lacks, the first is {unknown[0].as_py()!r}; give the questions they belong to"
        )


def _say_unused(outcomes: pa.Table, echo: Echo) -> None:
    used = {PAIR_SOURCE, CROWD_SOURCE, *(source for one in SLICES for source in one.sources)}
    for row in pc.value_counts(outcomes["source"]).to_pylist():
        if row["values"] not in used:
            echo(f"source {row['values']!r}: {row['counts']} outcomes are not used")


def _left_out(tables: SliceTables) -> str:
    parts = [f"{name} ({count} answers)" for name, count in tables.left_out.items()]
    if tables.num_blank:
        parts.append(f"{tables.num_blank} questions without text")
    return f"; left out: {', '.join(parts)}" if parts else ""
