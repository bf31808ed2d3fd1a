"""Columns and schema version of every table that the applications exchange."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class TableSchema:
    """The schema of a kind of table.

    Attributes:
        name: kind of artifact, as stored in the file's metadata.
        version: raised whenever a reader of the older version would misread the table.
        fields: every known column; a nullable column may be absent from a file.
        key: columns whose combination must be unique.
    """

    name: str
    version: int
    fields: tuple[pa.Field, ...]
    key: tuple[str, ...]

    @property
    def arrow(self) -> pa.Schema:
        """The full Arrow schema, nullable columns included."""
        return pa.schema(list(self.fields))


QUESTIONS = TableSchema(
    name="questions",
    version=1,
    fields=(
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("split", pa.string()),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
        pa.field("n_choices", pa.int32()),
        pa.field("grader", pa.string()),
        pa.field("grader_args", pa.string()),
        pa.field("request", pa.string()),
        pa.field("images", pa.list_(pa.string())),
        pa.field("dup_group", pa.string()),
        pa.field("category", pa.string()),
    ),
    key=("question_id",),
)

OUTCOMES = TableSchema(
    name="outcomes",
    version=1,
    fields=(
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("candidate", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("correct", pa.float32()),
        pa.field("latency_s", pa.float32()),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("completion_tokens", pa.int32()),
        pa.field("cost_usd", pa.float64()),
        pa.field("output", pa.string()),
        pa.field("finish_reason", pa.string()),
        pa.field("grader", pa.string()),
        pa.field("judgement", pa.string()),
        pa.field("failure", pa.string()),
    ),
    key=("question_id", "candidate", "source"),
)

CANDIDATES = TableSchema(
    name="candidates",
    version=1,
    fields=(
        pa.field("candidate", pa.string(), nullable=False),
        pa.field("family", pa.string()),
        pa.field("params_b", pa.float64()),
        pa.field("params_source", pa.string()),
        pa.field("open_weights", pa.bool_()),
        pa.field("price_in_usd_per_mtok", pa.float64()),
        pa.field("price_out_usd_per_mtok", pa.float64()),
    ),
    key=("candidate",),
)

STATEMENT_TYPE = pa.struct(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("description", pa.string(), nullable=False),
        pa.field("num_correct", pa.float64(), nullable=False),
        pa.field("num_shots", pa.int32(), nullable=False),
        pa.field("num_unparsable", pa.int32(), nullable=False),
        pa.field("num_failed", pa.int32(), nullable=False),
        pa.field("num_truncated", pa.int32()),
        pa.field("graders", pa.string()),
    ]
)

CARDS = TableSchema(
    name="cards",
    version=1,
    fields=(
        pa.field("candidate", pa.string(), nullable=False),
        pa.field("card_version", pa.string(), nullable=False),
        pa.field("tasks_hash", pa.string(), nullable=False),
        pa.field("statements", pa.list_(STATEMENT_TYPE), nullable=False),
        pa.field("notes", pa.string()),
        pa.field("provenance", pa.string()),
    ),
    key=("candidate",),
)

SCORE_TYPE = pa.struct(
    [
        pa.field("candidate", pa.string(), nullable=False),
        pa.field("p_correct", pa.float32(), nullable=False),
    ]
)
ATTEMPT_TYPE = pa.struct(
    [
        pa.field("candidate", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("duration_s", pa.float32(), nullable=False),
    ]
)

ROUTING_LOG = TableSchema(
    name="routing_log",
    version=1,
    fields=(
        pa.field("decision_id", pa.string(), nullable=False),
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("logged_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("profile", pa.string(), nullable=False),
        pa.field("candidate", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("confidence", pa.float32()),
        pa.field("scores", pa.list_(SCORE_TYPE), nullable=False),
        pa.field("zoo_version", pa.int64(), nullable=False),
        pa.field("status", pa.int32(), nullable=False),
        pa.field("attempts", pa.list_(ATTEMPT_TYPE), nullable=False),
        pa.field("latency_s", pa.float32()),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("completion_tokens", pa.int32()),
        pa.field("cost_usd", pa.float64()),
        pa.field("prompt", pa.string()),
    ),
    key=("decision_id",),
)
