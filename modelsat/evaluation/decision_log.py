"""Read the routing decisions of an endpoint from its routing log.

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
class DecisionLog:
    """Routing decisions in chronological order.

    Attributes:
        table: rows of the routing log.
        question_ids: hash of the scored text of each decision.
        answered_by: candidate that answered, or was tried last, of each decision.
        first_choice: candidate that was tried first, of each decision.
    """

    table: pa.Table
    question_ids: tuple[str, ...]
    answered_by: tuple[str, ...]
    first_choice: tuple[str, ...]

    def __len__(self) -> int:
        """Number of decisions."""
        return len(self.question_ids)

    def column(self, name: str) -> Any:
        """Return a numeric column with NaN for nulls."""
        return self.table[name].cast(pa.float64()).fill_null(float("nan")).to_numpy()

    def probabilities(self, names: Sequence[str]) -> Floats:
        """Return the logged P(correct), float32 [D, M]; NaN for candidates without a score."""
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


def read_routing_log(path: str | Path) -> DecisionLog:
    """Read a file of a routing log, or all files of a folder.

    Raises:
        ArtifactError: there is no decision, a file is not a routing log, or a decision is
            duplicated.
    """
    path = Path(path)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise ArtifactError(f"{path} has no *.parquet file; pass the folder of a routing log")
    table = pa.concat_tables([read_table(ROUTING_LOG, file) for file in files])
    if table.num_rows == 0:
        raise ArtifactError(f"{path} has no decision yet")
    if len(pc.unique(table["decision_id"])) < table.num_rows:
        raise ArtifactError(f"{path} has duplicate decisions; remove copies of its files")
    table = table.sort_by("logged_at").combine_chunks()
    answered_by = table["candidate"].to_pylist()
    tried = zip(table["attempts"].to_pylist(), answered_by, strict=True)
    return DecisionLog(
        table,
        tuple(table["question_id"].to_pylist()),
        tuple(answered_by),
        tuple(attempts[0]["candidate"] if attempts else name for attempts, name in tried),
    )
