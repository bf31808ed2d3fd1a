"""The routing log, read back with pyarrow."""

import errno
import math
import threading
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from modelsat.artifacts.schemas import ROUTING_LOG
from modelsat.artifacts.store import read_manifest, read_table
from serve_app.config import RoutingLogOptions
from serve_app.observe import routing_log
from serve_app.observe.routing_log import RoutingLog
from tests.support.serve_app.observe_parts import make_record


def options(folder, **changes):
    return RoutingLogOptions(folder=folder, flush_interval_s=3600, **changes)


def files_in(folder):
    return sorted(folder.glob("*.parquet"))


def logged(folder, *records, **changes):
    log = RoutingLog(options(folder, **changes))
    for record in records:
        log.finished(record)
    log.close()
    return [row for path in files_in(folder) for row in read_table(ROUTING_LOG, path).to_pylist()]


class Disk:
    """Stores the rows written, or fails as a full disk does."""

    def __init__(self):
        self.is_full = False
        self.sizes = []
        self.tried = threading.Semaphore(0)

    def write(self, table, _path):
        try:
            if self.is_full:
                raise OSError(errno.ENOSPC, "no space left on device")
            self.sizes.append(table.num_rows)
        finally:
            self.tried.release()


def test_a_decision_is_a_row_with_all_that_is_known(tmp_path):
    (row,) = logged(tmp_path / "log", make_record())
    assert datetime.now(UTC) - row.pop("logged_at") < timedelta(minutes=5)
    assert row.pop("decision_id")
    assert row == {
        "question_id": "ab" * 32,
        "request_id": "request-1",
        "profile": "auto",
        "candidate": "large",
        "reason": "highest_score",
        "confidence": 0.75,
        "scores": [
            {"candidate": "small", "p_correct": 0.75},
            {"candidate": "large", "p_correct": 0.5},
        ],
        "zoo_version": 3,
        "status": 200,
        "attempts": [
            {"candidate": "small", "outcome": "timeout", "duration_s": 0.25},
            {"candidate": "large", "outcome": "answered", "duration_s": 0.125},
        ],
        "latency_s": 2.0,
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "cost_usd": 0.002,
        "prompt": None,
    }


def test_decisions_over_different_zoos_and_without_scores_share_a_file(tmp_path):
    rows = logged(
        tmp_path,
        make_record(),
        make_record(scores={}, confidence=None, reason="fail_open"),
        make_record(scores={"large": 0.25, "new": math.nan}, attempts=[("new", "answered", 0.5)]),
    )
    assert len(files_in(tmp_path)) == 1
    scores = [[(s["candidate"], s["p_correct"]) for s in row["scores"]] for row in rows]
    assert scores[:2] == [[("small", 0.75), ("large", 0.5)], []]
    assert scores[2][0] == ("large", 0.25)
    assert scores[2][1][0] == "new"
    assert math.isnan(scores[2][1][1])
    assert [len(row["attempts"]) for row in rows] == [2, 2, 1]
    assert [row["confidence"] for row in rows] == [0.75, None, 0.75]


def test_only_routed_requests_whose_candidate_was_asked_are_logged(tmp_path):
    rows = logged(
        tmp_path,
        make_record(routed=False, requested="large"),
        make_record(attempts=[], status=503),
        make_record(prompt_hash=None),
        make_record(request_id="kept"),
    )
    assert [row["request_id"] for row in rows] == ["kept"]


def test_one_request_id_may_come_twice(tmp_path):
    rows = logged(tmp_path, make_record(), make_record())
    assert len({row["decision_id"] for row in rows}) == 2


def test_prompts_are_written_only_when_asked_for(tmp_path):
    record = make_record(scored_text="my password is hunter2")
    logged(tmp_path / "private", record)
    assert b"hunter2" not in files_in(tmp_path / "private")[0].read_bytes()
    (row,) = logged(tmp_path / "open", record, with_prompts=True)
    assert row["prompt"] == "my password is hunter2"


def test_invalid_utf8_is_written_with_replacement_characters(tmp_path):
    (row,) = logged(tmp_path, make_record(scored_text="half \ud83d of"), with_prompts=True)
    assert row["prompt"] == "half ? of"


def test_files_are_artifacts_of_their_kind(tmp_path):
    logged(tmp_path, make_record())
    (path,) = files_in(tmp_path)
    assert pq.read_schema(path).metadata[b"modelsat.schema"] == b"routing_log"
    assert read_manifest(path)["modelsat"]
    assert [child.name for child in tmp_path.iterdir()] == [path.name]  # no temporary file is left


def test_a_file_is_written_as_soon_as_it_has_its_rows(tmp_path):
    disk = Disk()
    log = RoutingLog(options(tmp_path, rows_per_file=3), disk.write)
    for _ in range(3):
        log.finished(make_record())
    assert disk.tried.acquire(timeout=30)
    for _ in range(4):
        log.finished(make_record())
    log.close()
    assert disk.sizes[0] == 3
    assert sum(disk.sizes) == 7
    assert max(disk.sizes) == 3


def test_a_file_is_written_when_the_interval_ends(tmp_path):
    disk = Disk()
    interval = RoutingLogOptions(folder=tmp_path, flush_interval_s=0.01)
    log = RoutingLog(interval, disk.write)
    log.finished(make_record())
    assert disk.tried.acquire(timeout=30)
    assert disk.sizes == [1]
    log.close()


def test_decisions_wait_while_the_disk_fails_and_are_written_later(tmp_path):
    disk = Disk()
    disk.is_full = True
    interval = RoutingLogOptions(folder=tmp_path, flush_interval_s=0.01, rows_per_file=2)
    log = RoutingLog(interval, disk.write)
    for _ in range(5):
        log.finished(make_record())
    for _ in range(3):
        assert disk.tried.acquire(timeout=30)
    disk.is_full = False
    log.close()
    assert sum(disk.sizes) == 5
    assert log.dropped == 0


def test_decisions_that_can_never_be_written_are_dropped_and_counted(tmp_path):
    disk = Disk()
    disk.is_full = True
    log = RoutingLog(options(tmp_path), disk.write)
    for _ in range(5):
        log.finished(make_record())
    log.close()
    assert (disk.sizes, log.dropped) == ([], 5)
    log.finished(make_record())
    assert log.dropped == 6


@pytest.mark.parametrize("tokens", [2**31, 2**70, "many"])
def test_decisions_that_do_not_fit_the_schema_are_dropped_and_counted(tmp_path, tokens):
    disk = Disk()
    log = RoutingLog(options(tmp_path, rows_per_file=2), disk.write)
    for prompt_tokens in (1, tokens, 1, 1):
        log.finished(make_record(prompt_tokens=prompt_tokens))
    log.close()
    assert (disk.sizes, log.dropped) == ([2], 2)


def test_a_folder_that_cannot_be_created_loses_only_decisions(tmp_path):
    (tmp_path / "file").write_text("in the way")
    log = RoutingLog(options(tmp_path / "file" / "log"))
    log.finished(make_record())
    log.close()
    assert log.dropped == 1


def test_memory_is_bounded_while_the_disk_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(routing_log, "MAX_WAITING_BYTES", 20_000)
    disk = Disk()
    disk.is_full = True
    log = RoutingLog(options(tmp_path, with_prompts=True), disk.write)
    for _ in range(50):
        log.finished(make_record(scored_text="x" * 1000))
    assert 40 <= log.dropped <= 44  # a row and its prompt are about 2.5 kB
    log.finished(make_record(scored_text="x" * 100_000))
    before = log.dropped
    disk.is_full = False
    log.close()
    assert sum(disk.sizes) == 51 - before


def test_written_decisions_free_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(routing_log, "MAX_WAITING_BYTES", 20_000)
    disk = Disk()
    log = RoutingLog(options(tmp_path, with_prompts=True, rows_per_file=2), disk.write)
    for _ in range(25):
        for _ in range(2):
            log.finished(make_record(scored_text="x" * 1000))
        assert disk.tried.acquire(timeout=30)
    log.close()
    assert (sum(disk.sizes), log.dropped) == (50, 0)


def test_a_log_needs_a_folder():
    with pytest.raises(ValueError, match="folder"):
        RoutingLog(RoutingLogOptions())
