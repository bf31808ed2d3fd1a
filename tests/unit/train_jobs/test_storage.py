"""Checkpoints of a run that failed while they were written."""

from pathlib import Path

import pytest

from train_jobs.storage import PROGRESS_NAME, delete_incomplete


def write(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("{}")


@pytest.mark.parametrize("scheme", ["", "fsspec+file://"])
def test_only_checkpoints_without_their_last_file_are_deleted(tmp_path: Path, scheme: str) -> None:
    run = tmp_path / "run"
    write(run / "checkpoint_all-001", PROGRESS_NAME, "state")
    write(run / "checkpoint_all-002", "state")
    write(run / "tensorboard", "events")
    delete_incomplete(f"{scheme}{tmp_path}", "run")
    assert {path.name for path in run.iterdir()} == {"checkpoint_all-001", "tensorboard"}


def test_a_run_that_has_written_nothing_has_nothing_to_delete(tmp_path: Path) -> None:
    delete_incomplete(str(tmp_path), "run")
    assert list(tmp_path.iterdir()) == []
