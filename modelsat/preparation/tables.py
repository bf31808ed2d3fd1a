"""The rows of a folder of tables that a recipe uses, one zoo at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table
from modelsat.errors import ArtifactError
from modelsat.outcomes.leak_groups import with_leak_groups
from modelsat.outcomes.left_out import with_text
from modelsat.preparation.recipe import Recipe, SharedTest, ZooRecipe

Echo = Callable[[str], None]


@dataclass(frozen=True)
class ZooTables:
    """The rows of one zoo.

    Attributes:
        recipe: what was asked for.
        test_benchmark: benchmark of the aptitude test.
        questions: questions of the zoo's benchmarks; ``task`` holds the recipe's task column and
            ``dup_group`` the leak group.
        outcomes: the candidates' outcomes on these questions.
        candidates: names of the candidates that answered enough, sorted.
        left_out: number of answers of each candidate that did not.
        num_blank: questions left out because they have no text.
        sharing: ids of questions that each zoo with the same aptitude test answered.
    """

    recipe: ZooRecipe
    test_benchmark: str
    questions: pa.Table
    outcomes: pa.Table
    candidates: tuple[str, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    num_blank: int = 0
    sharing: tuple[frozenset[str], ...] = ()

    @property
    def name(self) -> str:
        """Name of the zoo."""
        return self.recipe.name

    @property
    def shares_test(self) -> bool:
        """Whether the zoo takes the aptitude test of another zoo."""
        return isinstance(self.recipe.aptitude_test, SharedTest)

    def benchmark_questions(self, benchmark: str) -> pa.Table:
        """Return the questions of a benchmark, unanswered ones included."""
        return self.questions.filter(pc.equal(self.questions["benchmark"], benchmark))

    def answered_questions(self, benchmark: str) -> pa.Table:
        """Return the questions of a benchmark that at least one candidate answered."""
        own = self.benchmark_questions(benchmark)
        answered = pc.unique(self.outcomes["question_id"].combine_chunks())
        return own.filter(pc.is_in(own["question_id"], answered))

    def outcomes_on(self, questions: pa.Table) -> pa.Table:
        """Return the outcomes on these questions."""
        ids = questions["question_id"].combine_chunks()
        return self.outcomes.filter(pc.is_in(self.outcomes["question_id"], ids))


def read_zoos(recipe: Recipe, data_dir: Path, echo: Echo) -> tuple[ZooTables, ...]:
    """Read the rows of every zoo that a folder holds.

    Args:
        recipe: the zoos.
        data_dir: folder with ``questions.parquet`` and ``outcomes.parquet``.
        echo: receives one line for each zoo that is used or skipped.

    Raises:
        ArtifactError: a table is missing or malformed, an outcome belongs to an unknown question,
            or the folder holds none of the zoos.
    """
    questions = with_leak_groups(read_table(QUESTIONS, data_dir / "questions.parquet"))
    outcomes = read_table(OUTCOMES, data_dir / "outcomes.parquet")
    _refuse_unknown_questions(questions, outcomes, data_dir)
    found: dict[str, ZooTables] = {}
    # Zoos with a test of their own first: the others need theirs.
    for zoo in sorted(recipe.zoos, key=lambda zoo: isinstance(zoo.aptitude_test, SharedTest)):
        test = zoo.aptitude_test
        if isinstance(test, SharedTest):
            owner = found.get(test.zoo)
            tables = owner and _select_rows(zoo, owner.test_benchmark, questions, outcomes)
        else:
            tables = _select_rows(zoo, test.benchmark, questions, outcomes)
        if tables is not None:
            found[zoo.name] = tables
    for zoo in recipe.zoos:
        echo(_summary(found[zoo.name]) if zoo.name in found else f"{zoo.name}: not in {data_dir}")
    if not found:
        wanted = ", ".join(f"{zoo.name} ({' + '.join(zoo.sources)})" for zoo in recipe.zoos)
        raise ArtifactError(f"{data_dir} holds none of the recipe's zoos: {wanted}")
    _report_unused_sources(recipe, outcomes, echo)
    return tuple(_with_sharing(found[zoo.name], found) for zoo in recipe.zoos if zoo.name in found)


def _select_rows(
    zoo: ZooRecipe, test_benchmark: str, questions: pa.Table, outcomes: pa.Table
) -> ZooTables | None:
    """Return the rows of a zoo, or None if its sources answered no question of its test."""
    benchmarks = pa.array(sorted({test_benchmark, *zoo.training_benchmarks}))
    own = questions.filter(pc.is_in(questions["benchmark"], benchmarks))
    asked = _with_task_column(with_text(own), zoo.task_column)
    rows = outcomes.filter(pc.is_in(outcomes["source"], pa.array(zoo.sources)))
    rows = rows.filter(pc.is_in(rows["question_id"], asked["question_id"].combine_chunks()))
    counts = rows.group_by("candidate").aggregate([("correct", "count")]).to_pylist()
    num_answers = {row["candidate"]: row["correct_count"] for row in counts}
    least = zoo.min_coverage_fraction * max(num_answers.values(), default=0)
    candidates = tuple(sorted(name for name, count in num_answers.items() if count >= least))
    tables = ZooTables(
        recipe=zoo,
        test_benchmark=test_benchmark,
        questions=asked,
        outcomes=rows.filter(pc.is_in(rows["candidate"], pa.array(candidates, pa.string()))),
        candidates=candidates,
        left_out={name: n for name, n in sorted(num_answers.items()) if name not in candidates},
        num_blank=own.num_rows - asked.num_rows,
    )
    return tables if tables.answered_questions(test_benchmark).num_rows else None


def _with_sharing(tables: ZooTables, found: Mapping[str, ZooTables]) -> ZooTables:
    return replace(
        tables,
        sharing=tuple(
            frozenset(other.answered_questions(tables.test_benchmark)["question_id"].to_pylist())
            for other in found.values()
            if isinstance(other.recipe.aptitude_test, SharedTest)
            and other.recipe.aptitude_test.zoo == tables.name
        ),
    )


def _with_task_column(questions: pa.Table, column: str) -> pa.Table:
    place = questions.schema.get_field_index("task")
    return questions.set_column(place, questions.schema.field(place), questions[column])


def _refuse_unknown_questions(questions: pa.Table, outcomes: pa.Table, data_dir: Path) -> None:
    known = pc.is_in(outcomes["question_id"], questions["question_id"].combine_chunks())
    unknown = outcomes.filter(pc.invert(known))["question_id"]
    if len(unknown):
        raise ArtifactError(
            f"{data_dir}: {len(unknown)} outcomes belong to questions that questions.parquet "
            f"lacks; the first is {unknown[0].as_py()!r}. Add these questions to the table"
        )


def _report_unused_sources(recipe: Recipe, outcomes: pa.Table, echo: Echo) -> None:
    used = {source for zoo in recipe.zoos for source in zoo.sources}
    for row in pc.value_counts(outcomes["source"]).to_pylist():
        if row["values"] not in used:
            echo(f"source {row['values']!r}: {row['counts']} outcomes are not used")


def _summary(tables: ZooTables) -> str:
    counts = f"{tables.questions.num_rows} questions, {len(tables.candidates)} candidates"
    parts = [f"{name} ({count} answers)" for name, count in tables.left_out.items()]
    if tables.num_blank:
        parts.append(f"{tables.num_blank} questions without text")
    return f"{tables.name}: {counts}" + (f"; left out: {', '.join(parts)}" if parts else "")
