"""Batches on disk: what a run that follows an interrupted one need not ask again."""

from pathlib import Path
from typing import Any

import pytest

from modelsat.errors import MachineError
from profiling.checkpoint import Checkpoint

MAX_ASKING_RUNS = 3


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "checkpoints" / "alpha" / "hash1")


def _graded(question_id: str, **changes: Any) -> dict[str, Any]:
    row = {"question_id": question_id, "candidate": "alpha", "correct": 1.0, "engine_request": 0}
    return {**row, **changes}


def _failed(question_id: str, reason: str = "boom") -> dict[str, Any]:
    return _graded(question_id, correct=None, failure=f"failed: {reason}", engine_request=-1)


def _keep(checkpoint: Checkpoint, *rows: dict[str, Any]) -> str:
    key = checkpoint.begin_batch([row["question_id"] for row in rows])
    checkpoint.end_batch(key, rows)
    return key


def _settled(checkpoint: Checkpoint) -> dict[str, dict[str, Any]]:
    rows = checkpoint.load(MAX_ASKING_RUNS).to_pylist()
    by_id = {row["question_id"]: row for row in rows}
    assert len(by_id) == len(rows)
    return by_id


def test_new_candidate_has_no_settled_questions(checkpoint: Checkpoint) -> None:
    assert _settled(checkpoint) == {}
    assert checkpoint.num_interrupted() == 0
    checkpoint.discard_others()
    checkpoint.discard()


def test_stored_rows_round_trip(checkpoint: Checkpoint) -> None:
    wrong = _graded("q1", correct=0.0, failure="unparsable", output="?", prompt_tokens=7)
    _keep(checkpoint, _graded("q0", engine_request=5), wrong)
    _keep(checkpoint, _graded("q2"))
    settled = _settled(checkpoint)
    assert sorted(settled) == ["q0", "q1", "q2"]
    assert settled["q0"]["engine_request"] == 5
    assert {key: settled["q1"][key] for key in wrong} == wrong
    assert checkpoint.num_interrupted() == 0
    assert list((checkpoint.folder / "asked").iterdir()) == []


def test_batch_in_flight_is_repeated_and_counted(checkpoint: Checkpoint) -> None:
    _keep(checkpoint, _graded("q0"))
    checkpoint.begin_batch(["q1", "q2", "q3"])
    assert sorted(_settled(checkpoint)) == ["q0"]
    assert checkpoint.num_interrupted() == 3
    _keep(checkpoint, _graded("q1"), _graded("q2"), _graded("q3"))
    assert sorted(_settled(checkpoint)) == ["q0", "q1", "q2", "q3"]
    assert checkpoint.num_interrupted() == 3


def test_kill_between_answers_and_marker_repeats_nothing(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda *_args, **_kwargs: None)
        key = _keep(checkpoint, _graded("q0"), _graded("q1"))
    assert (checkpoint.folder / "asked" / f"{key}.json").exists()
    assert checkpoint.num_interrupted() == 0
    assert sorted(_settled(checkpoint)) == ["q0", "q1"]


def test_failed_rows_are_retried_until_the_limit(checkpoint: Checkpoint) -> None:
    for run in range(MAX_ASKING_RUNS):
        assert "bad" not in _settled(checkpoint)
        _keep(checkpoint, _failed("bad", f"run {run}"), _graded(f"q{run}"))
    settled = _settled(checkpoint)
    assert sorted(settled) == ["bad", "q0", "q1", "q2"]
    assert settled["bad"]["correct"] is None
    assert settled["bad"]["failure"].startswith("failed: run ")


def test_an_answer_overrides_earlier_failures(checkpoint: Checkpoint) -> None:
    for _ in range(MAX_ASKING_RUNS):
        _keep(checkpoint, _failed("q0"))
    _keep(checkpoint, _graded("q0"))
    assert _settled(checkpoint)["q0"]["correct"] == 1.0


def test_batch_with_only_failures_is_not_interrupted(checkpoint: Checkpoint) -> None:
    _keep(checkpoint, _failed("q0"), _failed("q1"))
    assert checkpoint.num_interrupted() == 0
    assert _settled(checkpoint) == {}


def test_question_answered_twice_is_settled_once(checkpoint: Checkpoint) -> None:
    _keep(checkpoint, _graded("q0"))
    _keep(checkpoint, _graded("q0"), _graded("q1"))
    assert sorted(_settled(checkpoint)) == ["q0", "q1"]


def test_truncated_file_is_ignored(checkpoint: Checkpoint) -> None:
    key = _keep(checkpoint, _graded("q0"))
    _keep(checkpoint, _graded("q1"))
    kept = checkpoint.folder / "answered" / f"{key}.parquet"
    kept.write_bytes(kept.read_bytes()[:-8])
    assert sorted(_settled(checkpoint)) == ["q1"]


def test_another_hash_replaces_the_checkpoint(checkpoint: Checkpoint) -> None:
    _keep(checkpoint, _graded("q0"))
    checkpoint.discard_others()
    assert sorted(_settled(checkpoint)) == ["q0"]
    changed = Checkpoint(checkpoint.folder.parent / "hash2")
    neighbour = Checkpoint(checkpoint.folder.parents[1] / "beta" / "hash1")
    _keep(neighbour, _graded("q0", candidate="beta"))
    assert _settled(changed) == {}
    changed.discard_others()
    assert not checkpoint.folder.exists()
    assert sorted(_settled(neighbour)) == ["q0"]


def test_error_names_an_unwritable_folder(checkpoint: Checkpoint) -> None:
    checkpoint.folder.parent.mkdir(parents=True)
    checkpoint.folder.write_text("in the way")
    with pytest.raises(MachineError, match=r"cannot write .*alpha/hash1/asked"):
        checkpoint.begin_batch(["q0"])
