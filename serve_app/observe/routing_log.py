"""The routing log: a parquet table of routing decisions, for ``modelsat evaluate``.

A thread writes the files, so that neither disk nor compression delays a request. Importing this
module loads pyarrow.
"""

import logging
import sys
import threading
import time
import uuid
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from modelsat import __version__
from modelsat.artifacts.schemas import ATTEMPT_TYPE, ROUTING_LOG, SCORE_TYPE
from modelsat.artifacts.store import write_table
from modelsat.errors import ModelSatError
from serve_app.config import RoutingLogOptions
from serve_app.contracts.request_record import RequestRecord

# Memory limit of decisions that wait for their file. A file is written at a quarter of it, whatever
# `rows_per_file` is. Beyond it, if the disk fails, decisions are dropped and counted.
MAX_WAITING_BYTES = 64 * 2**20
_ROW_BYTES = 1500  # of a decision without scores and prompt
CLOSE_TIMEOUT_S = 10.0

Write = Callable[[pa.Table, Path], None]

_LOGGER = logging.getLogger("ray.serve.modelsat.routing_log")


@dataclass(frozen=True, slots=True)
class _Decision:
    """A row of the table; smaller than the record that it comes from."""

    decision_id: str
    question_id: str
    request_id: str
    logged_at: int  # microseconds since 1970
    profile: str
    candidate: str
    reason: str
    confidence: float | None
    zoo_version: int
    status: int
    attempts: tuple[tuple[str, str, float], ...]
    latency_s: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    prompt: str | None
    scored: tuple[str, ...]  # names, one object for all decisions over the same candidates
    scores: array  # float32, in the order of the names

    @property
    def num_bytes(self) -> int:
        """Approximate size in memory."""
        prompt_bytes = 0 if self.prompt is None else sys.getsizeof(self.prompt)
        return _ROW_BYTES + 4 * len(self.scores) + prompt_bytes


class RoutingLog:
    """Collects routed requests and writes them to files, as an observer.

    A file holds up to ``rows_per_file`` decisions and is written atomically. If it cannot be
    written, its decisions wait, and writing is retried after ``flush_interval_s``. Decisions that
    cannot be converted to a table are dropped and counted.
    """

    def __init__(self, options: RoutingLogOptions, write: Write | None = None) -> None:
        """Start the writing thread.

        Args:
            options: folder, which must be set, and how often files are written.
            write: writes a table to a path; by default as a routing log artifact.

        Raises:
            ValueError: no folder is set.
        """
        if options.folder is None:
            raise ValueError("a routing log needs a folder")
        self._folder = options.folder
        self._options = options
        self._write = write or _write_artifact
        self._writer_id = uuid.uuid4().hex[:8]
        self._num_files = 0
        self._num_decisions = 0
        self._dropped = 0
        self._scored: tuple[str, ...] = ()
        self._waiting: list[_Decision] = []
        self._waiting_bytes = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="routing-log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Decisions lost so far because their file could not be written."""
        return self._dropped

    def finished(self, record: RequestRecord) -> None:
        """Collect a request; see :class:`serve_app.contracts.request_record.Observer`.

        Only requests that were routed and sent to a candidate are logged.
        """
        if not (record.routed and record.attempts and record.prompt_hash):
            return
        decision = self._decision(record, record.prompt_hash)
        with self._changed:
            if self._is_closing or self._waiting_bytes + decision.num_bytes > MAX_WAITING_BYTES:
                self._dropped += 1
                return
            self._waiting_bytes += decision.num_bytes
            self._waiting.append(decision)
            if self._is_full():
                self._changed.notify()

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Write pending decisions and end the thread; those that fail are dropped and counted."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _decision(self, record: RequestRecord, question_id: str) -> _Decision:
        scored = tuple(record.scores)
        if scored != self._scored:
            self._scored = scored
        self._num_decisions += 1
        return _Decision(
            decision_id=f"{self._writer_id}-{self._num_decisions}",
            question_id=question_id,
            request_id=record.request_id,
            logged_at=time.time_ns() // 1000,
            profile=record.requested or "",
            candidate=record.candidate or record.attempts[-1][0],
            reason=record.reason or "",
            confidence=record.confidence,
            zoo_version=record.zoo_version,
            status=record.status,
            attempts=tuple(record.attempts),
            latency_s=record.duration_s,
            prompt_tokens=record.prompt_tokens,
            completion_tokens=record.completion_tokens,
            cost_usd=record.cost_usd,
            prompt=_storable(record.scored_text) if self._options.with_prompts else None,
            scored=self._scored,
            scores=array("f", record.scores.values()),
        )

    def _is_full(self) -> bool:
        return (
            len(self._waiting) >= self._options.rows_per_file
            or self._waiting_bytes >= MAX_WAITING_BYTES // 4
        )

    def _run(self) -> None:
        has_failed = False
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._is_closing or (self._is_full() and not has_failed),  # noqa: B023
                    self._options.flush_interval_s,
                )
                is_closing = self._is_closing
                batch = self._waiting[: self._options.rows_per_file]
            has_failed = bool(batch) and not self._try_to_write(batch)
            with self._changed:
                if not has_failed:
                    del self._waiting[: len(batch)]
                    self._waiting_bytes -= sum(decision.num_bytes for decision in batch)
                if is_closing and (has_failed or not self._waiting):
                    self._dropped += len(self._waiting)
                    self._waiting.clear()
                    return

    def _try_to_write(self, batch: Sequence[_Decision]) -> bool:
        """Whether the batch is done with: written, or dropped for good."""
        moment = datetime.fromtimestamp(batch[0].logged_at / 1e6, UTC)
        name = f"{moment:%Y%m%dT%H%M%S}-{self._writer_id}-{self._num_files:05d}.parquet"
        try:
            table = _table(batch)
        except Exception as error:  # noqa: BLE001  # whatever they hold, the thread goes on
            # The error's text may repeat that of a prompt.
            _LOGGER.error("%d decisions fit no routing log: %s", len(batch), type(error).__name__)
            with self._changed:
                self._dropped += len(batch)
            return True
        try:
            self._write(table, self._folder / name)
        except (ModelSatError, OSError, pa.ArrowException) as error:
            _LOGGER.warning(
                "%d decisions cannot be written to the routing log: %s", len(batch), error
            )
            return False
        self._num_files += 1
        return True


def _storable(text: str | None) -> str | None:
    """The text without lone surrogates, which JSON can hold and UTF-8 cannot."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")


def _write_artifact(table: pa.Table, path: Path) -> None:
    write_table(ROUTING_LOG, table, path, {"modelsat": __version__})


def _table(batch: Sequence[_Decision]) -> pa.Table:
    columns = {
        field.name: pa.array([getattr(decision, field.name) for decision in batch], field.type)
        for field in ROUTING_LOG.fields
        if field.name not in ("scores", "attempts")
    }
    columns["scores"] = _scores(batch)
    columns["attempts"] = _attempts(batch)
    return pa.table([columns[name] for name in ROUTING_LOG.arrow.names], schema=ROUTING_LOG.arrow)


def _scores(batch: Sequence[_Decision]) -> pa.ListArray:
    """Scores as a list of structs each; a thousand candidates make this most of the work."""
    names: dict[str, int] = {}
    place_of = {
        scored: np.array([names.setdefault(name, len(names)) for name in scored], dtype=np.int32)
        for scored in {decision.scored: None for decision in batch}
    }
    places = np.concatenate([place_of[decision.scored] for decision in batch])
    values = np.concatenate([np.asarray(decision.scores, np.float32) for decision in batch])
    candidates = pa.array(list(names), pa.string()).take(pa.array(places))
    structs = pa.StructArray.from_arrays([candidates, pa.array(values)], fields=list(SCORE_TYPE))
    return _lists([len(decision.scores) for decision in batch], structs, SCORE_TYPE)


def _attempts(batch: Sequence[_Decision]) -> pa.ListArray:
    rows = [attempt for decision in batch for attempt in decision.attempts]
    columns = [
        pa.array([row[place] for row in rows], field.type)
        for place, field in enumerate(ATTEMPT_TYPE)
    ]
    structs = pa.StructArray.from_arrays(columns, fields=list(ATTEMPT_TYPE))
    return _lists([len(decision.attempts) for decision in batch], structs, ATTEMPT_TYPE)


def _lists(lengths: Sequence[int], values: pa.Array, kind: pa.DataType) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=pa.list_(kind))
