"""Reading a routing log: what an endpoint decided.

Shapes: D decisions, M candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelsat.artifacts.schemas import ROUTING_LOG
from modelsat.artifacts.store import read_table
from modelsat.errors import ArtifactError
from modelsat.outcomes.matrix import Floats


@dataclass(frozen=True)
class RoutingLog:
    """Decisions in the order in which they were made.

    Attributes:
        table: rows of the routing log.
        question_ids: of each decision, the hash of the text that was scored.
        answered: of each decision, who answered, or was asked last.
        chosen: of each decision, who was asked first.
    """

    table: pa.Table
    question_ids: tuple[str, ...]
    answered: tuple[str, ...]
    chosen: tuple[str, ...]

    def __len__(self) -> int:
        """Number of decisions."""
        return len(self.question_ids)

    def column(self, name: str) -> Any:
        """A numeric column, with NaN where it holds nothing."""
        return self.table[name].cast(pa.float64()).fill_null(float("nan")).to_numpy()

    def probabilities(self, names: Sequence[str]) -> Floats:
        """P(correct) as logged, float32 [D, M]; NaN for a candidate that was not scored."""
        lists = self.table["scores"].combine_chunks()
        structs = pc.list_flatten(lists)
        rows = pc.list_parent_indices(lists).to_numpy()
        found = pc.index_in(pc.struct_field(structs, "candidate"), pa.array(names, pa.string()))
        is_named = found.is_valid().to_numpy(zero_copy_only=False)
        columns = found.fill_null(0).to_numpy()
        values = pc.struct_field(structs, "p_correct").to_numpy()
        result = np.full((len(self), len(names)), np.nan, dtype=np.float32)
        result[rows[is_named], columns[is_named]] = values[is_named]
        return result


def read_routing_log(path: str | Path) -> RoutingLog:
    """Read one file of a routing log, or all those of a folder.

    Raises:
        ArtifactError: nothing is there, a file is no routing log, or a decision occurs twice.
    """
    path = Path(path)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise ArtifactError(f"{path} holds no *.parquet file; give the folder of a routing log")
    table = pa.concat_tables([read_table(ROUTING_LOG, file) for file in files])
    if table.num_rows == 0:
        raise ArtifactError(f"{path} holds no decision yet")
    if len(pc.unique(table["decision_id"])) < table.num_rows:
        raise ArtifactError(f"{path} holds decisions twice; leave out copies of its files")
    table = table.sort_by("logged_at").combine_chunks()
    answered = table["candidate"].to_pylist()
    asked = zip(table["attempts"].to_pylist(), answered, strict=True)
    return RoutingLog(
        table,
        tuple(table["question_id"].to_pylist()),
        tuple(answered),
        tuple(attempts[0]["candidate"] if attempts else name for attempts, name in asked),
    )
