"""The figures of the tests: what is counted, and what the page shows."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from modelsat.errors import QualityError
from tests.benchmarks.tests.page import check_figures, write_page
from tests.benchmarks.tests.runs import ROOT, TestRun, run_tests
from tests.benchmarks.tests.started import RUN_VARIABLE, Started


def write_process(folder, number, title, run, start=100):
    process = folder / str(number)
    process.mkdir()
    fields = ["S", *(["0"] * 18), str(start)]
    (process / "stat").write_text(f"{number} (a name) in brackets) {' '.join(fields)} 0 0")
    (process / "environ").write_text(f"HOME=/\0{RUN_VARIABLE}={run}\0")
    (process / "cmdline").write_text(f"{title}\0--option\0")


def test_processes_of_the_run_are_counted_once_by_what_they_are(tmp_path):
    write_process(tmp_path, 1, "/ray/gcs_server", "ours")
    write_process(tmp_path, 2, "/ray/gcs_server", "another")
    write_process(tmp_path, 3, "ray::IDLE", "ours")
    write_process(tmp_path, 4, "VLLM::EngineCore", "ours")
    (tmp_path / "5").mkdir()  # one that has just ended
    (tmp_path / "self").mkdir()
    started = Started("ours", tmp_path)
    started.look()
    (tmp_path / "3" / "cmdline").write_text("ray::TrainController\0")  # a worker with a task now
    started.look()
    assert started.counts == {"Ray clusters": 1, "vLLM engines": 1, "Ray Train runs": 1}


def test_a_number_used_again_is_another_process(tmp_path):
    started = Started("ours", tmp_path)
    for start in (100, 200):
        folder = tmp_path / "7"
        if folder.exists():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        write_process(tmp_path, 7, "VLLM::EngineCore", "ours", start)
        started.look()
    assert started.counts["vLLM engines"] == 2


def test_the_plugin_counts_tests_and_seconds_of_files_run_by_workers(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"test_{name}.py").write_text("def test_1(): pass\ndef test_2(): pass\n")
    times = tmp_path / "times"
    times.mkdir()
    plugins = ["-p", "xdist", "-p", "tests.benchmarks.tests.file_times"]
    options = [*plugins, "-n", "1", "-c", "/dev/null"]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "MODELSAT_TEST_TIMES": str(times),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, f"--rootdir={tmp_path}", str(tmp_path)],
        env=environment,
        check=True,
        capture_output=True,
    )
    [file] = times.iterdir()
    found = json.loads(file.read_text())
    assert {name: figures["num_tests"] for name, figures in found.items()} == {
        "test_a.py": 2,
        "test_b.py": 2,
    }
    assert all(figures["seconds"] > 0 for figures in found.values())


def test_a_failed_run_gives_no_figures():
    with pytest.raises(QualityError, match="false failed with 1"):
        run_tests(["false"])


def test_the_page_shows_limits_counts_and_the_slowest_files_first(tmp_path):
    runs = [
        TestRun(29.0, {"fast": 1.0, "slow": 60.0}, {"fast": 9, "slow": 2}, Counter(a=1)),
        TestRun(31.5, {"fast": 1.5, "slow": 61.0}, {"fast": 9, "slow": 2}, Counter()),
    ]
    runs[0].started["Ray clusters"] = 4
    checks = check_figures(runs)
    assert [check.is_met for check in checks] == [True, False]
    write_page(runs, checks, tmp_path / "tests.md")
    text = (tmp_path / "tests.md").read_text()
    assert "| Ray clusters | 4 | 0 |\n" in text
    assert text.index("| `slow` | 2 | 60.0 | 61.0 |\n") < text.index("| `fast` | 9 | 1.0 | 1.5 |\n")
    assert "| `make test`, run 2: minutes | 31.5 | 30.0 | **missed** |" in text
