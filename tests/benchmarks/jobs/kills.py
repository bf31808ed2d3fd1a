"""Runs killed by SIGKILL at 40 %, and one run with several faults: repeated and failed rows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelsat.artifacts.schemas import OUTCOMES
from modelsat.artifacts.store import read_json, read_table
from modelsat.errors import GradingError
from tests.benchmarks.jobs.timed_run import REPORT, write_run
from tests.support.profiling import url_bench
from tests.support.profiling.killable import Run, starting_runs
from tests.support.profiling.tiny_model import WORDS, save_tiny_model, zoo_entry
from tests.support.upstream import running_upstream

KILLED_FRACTION = 0.4
NUM_QUESTIONS = 200
BLOCK_SIZE, BATCH_SIZE = 16, 8
DEADLINE_S = 75  # deadline of each candidate; a URL that hangs uses all of it
_ANSWERS = {
    "max_new_tokens": 12,
    "max_truncated_fraction": 1.0,  # a random model never ends
    "block_size": BLOCK_SIZE,
    "batch_size": BATCH_SIZE,
}


@dataclass(frozen=True)
class Kill:
    """One killed run.

    Attributes:
        what: the killed process and its candidate.
        num_asked: questions of the run.
        allowed: number of rows that may be asked twice: one block per replica.
        repeated: number of rows that were asked twice, as reported.
        is_same: whether the outcomes equal those of a run that was not killed.
    """

    what: str
    num_asked: int
    allowed: int
    repeated: int
    is_same: bool


@dataclass(frozen=True)
class Faults:
    """One run with 2 % bad rows, a candidate that cannot load and a URL that hangs.

    Attributes:
        exit_code: exit code of the command.
        expected_code: exit code where some candidates failed and the others are done.
        num_questions: questions of the working candidate.
        num_failed: its failed rows, as reported.
        num_bad: its bad rows.
        failed: candidates that the report lists as failed.
    """

    exit_code: int
    expected_code: int
    num_questions: int
    num_failed: int
    num_bad: int
    failed: tuple[str, ...]


def kill_url_runs(folder: Path) -> list[Kill]:
    """Kill the driver of a run over a slow URL with two replicas."""
    with running_upstream(latency_s=0.3) as upstream:
        candidate = url_bench.remote("far", upstream.url)
        return _kill(folder, candidate, "a URL", replicas=2, strikes={"driver": Run.kill_driver})


def kill_engine_runs(folder: Path) -> list[Kill]:
    """Kill the driver of a local candidate's run, and the engine of another run."""
    save_tiny_model(folder / "model", seed=0)
    candidate = zoo_entry("far", folder / "model")
    strikes = {
        "driver": Run.kill_driver,
        "engine": lambda run: run.kill_worker("ray::MapWorker"),
    }
    return _kill(folder, candidate, "vLLM", replicas=1, strikes=strikes)


def _kill(
    folder: Path,
    candidate: dict[str, Any],
    kind: str,
    replicas: int,
    strikes: dict[str, Callable[[Run], None]],
) -> list[Kill]:
    expected = _outcomes(_run_to_end(folder / "unbroken", candidate, replicas, None))
    kills = []
    for what, strike in strikes.items():
        out = _run_to_end(folder / what, candidate, replicas, strike)
        [row] = read_json(out / REPORT)["candidates"]
        kills.append(
            Kill(
                what=f"{what}, {kind}, {replicas} replica(s)",
                num_asked=NUM_QUESTIONS,
                allowed=replicas * BLOCK_SIZE,
                repeated=row["num_repeated"],
                is_same=_outcomes(out) == expected,
            )
        )
    return kills


def _run_to_end(
    folder: Path, candidate: dict[str, Any], replicas: int, strike: Callable[[Run], None] | None
) -> Path:
    """Run, kill a process at 40 %, run again until done; return the output folder."""
    config = write_run(folder, [candidate], _questions(), replicas=replicas, **_ANSWERS)
    out = folder / "out"
    checkpoints = out / "checkpoints" / candidate["name"]
    with starting_runs() as start:
        run = start(config, checkpoints)
        if strike is not None:
            run.wait_until_kept(KILLED_FRACTION * NUM_QUESTIONS)
            strike(run)
        if strike is Run.kill_driver:
            run = start(config, checkpoints)
        said = run.end()
        if run.process.returncode:
            raise RuntimeError(f"{config} ended with {run.process.returncode}: {said[-2000:]}")
    return out


def _outcomes(out: Path) -> list[dict[str, Any]]:
    return read_table(OUTCOMES, out / "outcomes.parquet").to_pylist()


def _questions() -> list[dict[str, Any]]:
    return [
        {
            "question_id": f"q{i:03d}",
            "benchmark": "words",
            "task": "words",
            "prompt": " ".join(
                WORDS[(7 * i + 3 * j + i // 60) % len(WORDS)] for j in range(2 + i % 7)
            ),
            "answer": "w1",
        }
        for i in range(NUM_QUESTIONS)
    ]


def run_with_faults(folder: Path) -> Faults:
    """Profile a working URL with bad rows, a URL that hangs and a model that cannot load."""
    folder.mkdir(parents=True)
    url_bench.write_inputs(folder)
    save_tiny_model(folder / "model", seed=0)
    unloadable = zoo_entry("unloadable", folder / "model", max_model_length=64)  # no such option
    with (
        running_upstream(context_words=url_bench.CONTEXT_WORDS) as sound,
        running_upstream(fault="silence") as silent,
        starting_runs() as start,
    ):
        config = url_bench.configure(
            folder,
            "faults",
            url_bench.remote("sound", sound.url),
            url_bench.remote("hanging", silent.url),
            unloadable,
            max_parallel_candidates=3,
            candidate_deadline_s=DEADLINE_S,
        )
        run = start(config, folder / "faults" / "checkpoints" / "sound")
        run.end()
    report = read_json(folder / "faults" / REPORT)
    [row] = report["candidates"]
    return Faults(
        exit_code=run.process.returncode,
        expected_code=GradingError.exit_code,
        num_questions=row["num_questions"],
        num_failed=row["num_failed"],
        num_bad=url_bench.NUM_TOO_LONG,
        failed=tuple(sorted(failure["candidate"] for failure in report["failures"])),
    )
