"""Entry of the aptitude test: every candidate of a zoo answers the same questions.

Run: ``python -m profiling.aptitude_test --config FILE [--set a.b=value] [--json] [--dry-run]``,
alone or under ``ray job submit``. Joins the cluster that ``RAY_ADDRESS`` names, else starts Ray on
this machine, and neither if there is nothing to do.
"""

import argparse
import json
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from modelsat.cli.app_errors import interrupt_on_sigterm, report_errors
from modelsat.config import load_config
from modelsat.errors import GradingError, ModelSatError, TruncationError
from modelsat.progress import Progress
from profiling.candidate_log import CandidateLog
from profiling.config import ProfileConfig
from profiling.work import Plan, Work, check_writable, plan_run

if TYPE_CHECKING:
    from profiling.runner import Answers, Failure

# Logical CPUs of a Ray started here. Engines, stages and Ray's own actors each reserve some but
# wait most of the time, so a small machine gets more than it has cores.
_MIN_LOCAL_CPUS = 8
_KINDS = ("correct", "incorrect", "unparsable", "truncated", "ungraded", "failed")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and profile; user mistakes end with one line and an exit code."""
    parser = argparse.ArgumentParser(prog="profiling.aptitude_test", description=__doc__)
    parser.add_argument("--config", required=True, help="YAML file of the run")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=VALUE", help="change one value"
    )
    parser.add_argument("--json", action="store_true", help="print the report to stdout")
    parser.add_argument(
        "--dry-run", action="store_true", help="print what is to be done, and start nothing"
    )
    options = parser.parse_args(argv)
    with report_errors():
        if options.dry_run:
            print_plan(options.config, options.set, as_json=options.json)
        else:
            run_from_file(options.config, options.set, as_json=options.json)


def print_plan(path: str, overrides: Sequence[str], *, as_json: bool) -> None:
    """Print what a run would do; writes nothing and starts neither Ray nor an engine.

    Raises:
        ModelSatError: configuration, zoo file or questions are wrong.
    """
    from profiling.dry_run import describe_plan, plan_lines

    config = load_config(ProfileConfig, path, overrides)
    described = describe_plan(plan_run(config), config)
    text = json.dumps(described, indent=2) if as_json else "\n".join(plan_lines(described))
    sys.stdout.write(text + "\n")


def run_from_file(path: str, overrides: Sequence[str], *, as_json: bool) -> None:
    """Profile as a configuration file says, and print the report if asked.

    The last line on stderr says how it ended.

    Raises:
        ModelSatError: see :func:`profile_zoo`.
    """
    interrupt_on_sigterm()
    config = load_config(ProfileConfig, path, overrides)
    report = profile_zoo(config)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    if report["failures"]:
        raise _failed(report)
    if report["truncated"]:
        raise TruncationError("; ".join(row["reason"] for row in report["truncated"]))
    kept = [row for row in report["candidates"] if row["status"] == "reused"]
    num_profiled = len(report["candidates"]) - len(kept)
    sys.stderr.write(
        f"profile: {num_profiled} candidate(s) profiled, {len(kept)} kept, 0 failed; "
        f"{config.output_dir / 'report.html'}\n"
    )


def profile_zoo(config: ProfileConfig) -> dict[str, Any]:
    """Profile a zoo: outcomes, cards and report in ``output_dir``; what is done is kept.

    Returns:
        The report. Candidates that could not be profiled stand under ``failures``, those with
        too many answers that were cut off under ``truncated``; the others are unharmed.

    Raises:
        ModelSatError: configuration, zoo file, questions or output folder are wrong, or the judge
            cannot be reached.
    """
    plan = plan_run(config)
    total = sum(len(work.question_ids) for work in plan.works)
    progress = Progress("profile", total, "questions")
    log = CandidateLog(progress)
    failures = dict(plan.refused)
    for name, reason in failures.items():
        log.say(name, reason)
    reused = set()
    todo = []
    for work in plan.works:
        if work.is_done():
            work.checkpoint.discard()
            reused.add(work.candidate.name)
            progress.advance(len(work.question_ids))
            _keep(work, plan, log)
        else:
            todo.append(work)
    if todo:
        check_writable(config.output_dir)
        with progress:
            failures |= _profile(todo, plan, config, log)

    from profiling.later_grades import grade_later
    from profiling.report import write_report
    from profiling.results import merge_results

    done = [work for work in plan.works if work.candidate.name not in failures]
    grade_later(done, plan, config, log)
    withheld = merge_results(done, plan, config)
    failures |= withheld.failed
    return write_report(done, reused, failures, withheld.truncated, plan, config)


def _keep(work: Work, plan: Plan, log: CandidateLog) -> None:
    from profiling.results import renew_grades

    num_changed = renew_grades(work, plan)
    if num_changed is None:
        log.say(work.candidate.name, "unchanged since it was profiled; kept")
    else:
        text = f"graders have changed; its answers are graded again, {num_changed} grades differ"
        log.say(work.candidate.name, text)


def _profile(
    todo: Sequence[Work], plan: Plan, config: ProfileConfig, log: CandidateLog
) -> dict[str, str]:
    from profiling.report import count_outcomes
    from profiling.results import save_answers
    from profiling.runner import Failure

    failures: dict[str, str] = {}
    with closing(_ends(todo, plan, config, log)) as ends:
        for end in ends:
            name = end.work.candidate.name
            try:
                if isinstance(end, Failure):
                    raise GradingError(end.reason)
                save_answers(end, plan, config)
            except GradingError as error:
                failures[name] = str(error)
                log.say(name, f"failed: {error}")
            else:
                counts = count_outcomes(end.table)
                kinds = ", ".join(f"{counts[f'num_{kind}']} {kind}" for kind in _KINDS)
                log.say(name, f"done in {end.wall_s:.1f} s: {kinds}")
    return failures


def _ends(
    todo: Sequence[Work], plan: Plan, config: ProfileConfig, log: CandidateLog
) -> "Generator[Answers | Failure, None, None]":
    """How each candidate ends; Ray starts only if one of them has a question left to ask."""
    from profiling.runner import Answers, run_candidates

    settled = {}
    unfinished = []
    for work in todo:
        name = work.candidate.name
        work.checkpoint.discard_others()
        settled[name] = work.checkpoint.load(config.max_asking_runs)
        num_settled = settled[name].num_rows
        if num_settled:
            log.settled(name, num_settled)
        if num_settled == len(work.question_ids):
            yield Answers(work, settled[name], num_resumed=num_settled)
        else:
            unfinished.append(work)
    if unfinished:
        with _cluster(config):
            yield from run_candidates(unfinished, settled, plan, config, log)


def _failed(report: dict[str, Any]) -> ModelSatError:
    failures = report["failures"]
    reasons = "; ".join(failure["reason"] for failure in failures)
    names = {failure["candidate"] for failure in failures}
    names |= {candidate["candidate"] for candidate in report["candidates"]}
    return GradingError(
        f"{len(failures)} of {len(names)} candidates could not be profiled: {reasons}; the "
        "others are done: fix the cause and run again"
    )


@contextmanager
def _cluster(config: ProfileConfig) -> Iterator[None]:
    import ray

    if ray.is_initialized():
        yield
        return
    # Ray prints notices to stdout, which belongs to the report.
    with redirect_stdout(sys.stderr):
        joined = "RAY_ADDRESS" in os.environ
        options = {} if joined else _local_options(config)
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
        interrupt_on_sigterm()  # again: ray.init installs a handler of its own
        try:
            yield
        finally:
            ray.shutdown()


def _local_options(config: ProfileConfig) -> dict[str, Any]:
    wanted_cpus = 2 * config.replica_bounds[1] * config.max_parallel_candidates
    num_cpus = max(_MIN_LOCAL_CPUS, wanted_cpus, os.cpu_count() or 1)
    # Else Ray warns of "too many" workers, counting them against the physical cores.
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(num_cpus))
    return {"address": "local", "num_cpus": num_cpus, "include_dashboard": False}


if __name__ == "__main__":
    main()
