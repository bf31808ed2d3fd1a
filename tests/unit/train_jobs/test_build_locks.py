"""A killed build must not stop later trainings."""

import os
import time

from train_jobs.build_locks import remove_stale_build_locks


def test_only_locks_of_interrupted_builds_are_removed(tmp_path):
    old, new = (tmp_path / "py311_cpu" / name / "lock" for name in ("killed", "running"))
    for lock in (old, new):
        lock.parent.mkdir(parents=True)
        lock.touch()
    hour_ago = time.time() - 3600
    os.utime(old, (hour_ago, hour_ago))
    library = old.parent / "op.so"
    library.touch()
    os.utime(library, (hour_ago, hour_ago))
    remove_stale_build_locks(tmp_path)
    assert [path.exists() for path in (old, new, library)] == [False, True, True]


def test_a_machine_without_compiled_extensions_is_fine(tmp_path):
    remove_stale_build_locks(tmp_path / "none")
