"""The answers of an unfinished candidate: each finished batch of questions is on disk.

Knows files only. Engines write them wherever they run, before they take the next batch; the run
that follows reads them. ``docs/decisions/0011-profiling-checkpoint.md`` says why.

    checkpoints/CANDIDATE/WORK_HASH/
        asked/KEY.json          question ids of a batch that an engine has before it
        failed/KEY.parquet      its rows that failed
        answered/KEY.parquet    its other rows; with it the batch is done
"""

import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelsat.artifacts.schemas import OUTCOMES, TableSchema
from modelsat.artifacts.store import read_json, read_table, write_json, write_table
from modelsat.errors import ArtifactError
from modelsat.grading.graders import has_failed

ENGINE_REQUEST = "engine_request"
MARGIN = "margin"

# An outcomes row, the request's position in the engine that answered it, and by how much the best
# option's log-likelihood exceeds the second's, nats; null where no likelihoods are compared.
GRADED = TableSchema(
    name="graded",
    version=3,
    fields=(
        *OUTCOMES.fields,
        pa.field(ENGINE_REQUEST, pa.int64()),
        pa.field(MARGIN, pa.float64()),
    ),
    key=OUTCOMES.key,
)


@dataclass(frozen=True)
class Checkpoint:
    """One candidate's finished batches; a plain value that crosses processes.

    Attributes:
        folder: absolute path, whose last part is the work's hash: whatever changes answers
            changes the folder. On a cluster of several machines, all of them must see it.
    """

    folder: Path

    def begin_batch(self, question_ids: Sequence[str]) -> str:
        """Note that an engine is about to be asked; returns the key that ends the batch."""
        key = uuid.uuid4().hex
        write_json(self._asked(key), {"question_ids": list(question_ids)})
        return key

    def end_batch(self, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep a batch's graded rows, those that failed apart from the others.

        Args:
            key: from :meth:`begin_batch`.
            rows: columns of :data:`GRADED`; a row without ``correct`` failed, unless its answer
                waits for a judge or a vote.

        Raises:
            MachineError: no disk space, or the folder cannot be written.
        """
        failed = [row for row in rows if has_failed(row)]
        answered = [row for row in rows if not has_failed(row)]
        if failed:
            write_table(GRADED, failed, self.folder / "failed" / f"{key}.parquet")
        write_table(GRADED, answered, self.folder / "answered" / f"{key}.parquet")
        self._asked(key).unlink(missing_ok=True)

    def load(self, max_asking_runs: int) -> pa.Table:
        """Rows that need not be asked again: answered, or failed in enough runs.

        A file that cannot be read counts as never written.

        Args:
            max_asking_runs: runs in which a question fails before its failure stands.

        Returns:
            Table :data:`GRADED`, each question at most once, in no particular order.
        """
        settled: dict[str, dict[str, Any]] = {}
        for row in self._rows("answered"):
            settled.setdefault(row["question_id"], row)
        num_failures: Counter[str] = Counter()
        for row in self._rows("failed"):
            num_failures[row["question_id"]] += 1
            if num_failures[row["question_id"]] >= max_asking_runs:
                settled.setdefault(row["question_id"], row)
        return pa.Table.from_pylist(list(settled.values()), schema=GRADED.arrow)

    def num_interrupted(self) -> int:
        """Questions that were before an engine when it was stopped, over all runs."""
        total = 0
        for path in (self.folder / "asked").glob("*.json"):
            if not (self.folder / "answered" / f"{path.stem}.parquet").exists():
                with suppress(ArtifactError):  # an engine that outlived its run ended it just now
                    total += len(read_json(path)["question_ids"])
        return total

    def discard_others(self) -> None:
        """Delete what was kept for other prompts, questions, weights or engine options."""
        for other in self.folder.parent.glob("*"):
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    def discard(self) -> None:
        """Delete everything kept of the candidate."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)

    def _asked(self, key: str) -> Path:
        return self.folder / "asked" / f"{key}.json"

    def _rows(self, part: str) -> Iterator[dict[str, Any]]:
        for path in sorted((self.folder / part).glob("*.parquet")):
            try:
                yield from read_table(GRADED, path).to_pylist()
            except ArtifactError:
                continue
