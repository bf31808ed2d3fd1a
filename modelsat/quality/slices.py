"""Which parts of the real tables a router learns from: one benchmark, answered by one zoo."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.answers import TaskColumn
from modelsat.errors import ArtifactError
from modelsat.outcomes.joining import filter_sources
from modelsat.outcomes.left_out import with_text


@dataclass(frozen=True)
class Slice:
    """One benchmark and the sources of its outcomes.

    Attributes:
        name: name of the data set made of it.
        benchmark: whose questions.
        sources: sources of the outcomes; no candidate may stand in two of them.
        task_column: what makes a core task.
        num_tasks: core tasks of its aptitude test.
        shots: questions of each.
        min_coverage: candidates that answered a smaller share of what the most diligent one
            answered are left out: every card needs every core question.
    """

    name: str
    benchmark: str
    sources: tuple[str, ...]
    task_column: TaskColumn
    num_tasks: int
    shots: int
    min_coverage: float


# MMLU: HELM's seven candidates answered all of it, the other 21 only 71 %. MMLU-Pro: 23 answered
# nearly all, one 86 %. Fewer core tasks take more shots, so that a test has about 1,000 questions
# either way.
SLICES = (
    Slice("mmlu", "mmlu", ("llm-uncertainty-bench", "helm-mmlu"), "task", 50, 20, 0.5),
    Slice("mmlu_pro", "mmlu_pro", ("mmlu-pro",), "category", 14, 70, 0.95),
)


@dataclass(frozen=True)
class SliceTables:
    """A slice's rows.

    Attributes:
        slice: what was taken.
        questions: its questions, ``task`` holding the core task each belongs to.
        outcomes: its outcomes.
        candidates: names of those that answered enough.
        left_out: number of answers of the others.
        num_blank: questions without text, left out.
    """

    slice: Slice
    questions: pa.Table
    outcomes: pa.Table
    candidates: tuple[str, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    num_blank: int = 0


def take_slice(slice_: Slice, questions: pa.Table, outcomes: pa.Table) -> SliceTables | None:
    """The rows of a slice; None where the tables hold neither its questions nor its sources.

    Raises:
        ArtifactError: no outcome on its questions.
    """
    own = questions.filter(pc.equal(questions["benchmark"], slice_.benchmark))
    known = set(pc.unique(outcomes["source"]).to_pylist())
    if not own.num_rows or not known & set(slice_.sources):
        return None
    sources = [source for source in slice_.sources if source in known]
    asked = _by_core_task(with_text(own), slice_.task_column)
    rows = filter_sources(outcomes, sources, origin="the outcomes table")
    rows = rows.filter(pc.is_in(rows["question_id"], asked["question_id"].combine_chunks()))
    counts = rows.group_by("candidate").aggregate([("correct", "count")]).to_pylist()
    answered = {row["candidate"]: row["correct_count"] for row in counts}
    if not answered:
        raise ArtifactError(
            f"the outcomes of {', '.join(sources)} answer no question of {slice_.benchmark}; give "
            "the questions they belong to"
        )
    least = slice_.min_coverage * max(answered.values())
    candidates = tuple(sorted(name for name, count in answered.items() if count >= least))
    return SliceTables(
        slice=slice_,
        questions=asked,
        outcomes=rows.filter(pc.is_in(rows["candidate"], pa.array(candidates))),
        candidates=candidates,
        left_out={name: n for name, n in sorted(answered.items()) if name not in candidates},
        num_blank=own.num_rows - asked.num_rows,
    )


def _by_core_task(questions: pa.Table, column: TaskColumn) -> pa.Table:
    place = questions.schema.get_field_index("task")
    return questions.set_column(place, questions.schema.field(place), questions[column])
