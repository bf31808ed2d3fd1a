"""Entry of `modelsat collect`: every candidate answers a sample of own prompts.

    OUTPUT_DIR/
        sample.parquet          the sampled prompts, in the order in which they are asked
        rounds/NNN/             one profiling run over the next prompts of the sample
        questions.parquet, outcomes.parquet, candidates.parquet, report.json

Without a budget there is one round. With one, a round is as large as the budget allows if every
answer has full length; what shorter answers leave over is used by the next.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.artifacts.schemas import CANDIDATES, OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_json, read_table, write_json, write_table
from modelsat.cli.app_errors import interrupt_on_sigterm
from modelsat.config import load_config
from modelsat.errors import ConfigError, GradingError, TruncationError
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.zoo_file import load_zoo
from profiling.aptitude_test import profile_zoo
from profiling.budget import Meter, Usage
from profiling.collect_config import CollectConfig
from profiling.config import AskingConfig, ProfileConfig
from profiling.traffic_sample import draw_sample, kept_sample, sample_text

_ROUNDS_FOLDER = "rounds"
_REPORT_FILE = "report.json"
_MIN_ROUND = 10  # prompts; engines are not started for fewer, unless they are the last

Row = dict[str, Any]


@dataclass(frozen=True)
class _Round:
    """A profiling run over some prompts of the sample.

    Attributes:
        questions: rows of the questions table.
        outcomes: outcomes of the candidates that are done.
        report: its report.
    """

    questions: list[Row]
    outcomes: pa.Table
    report: dict[str, Any]


def run_from_file(path: str, overrides: Sequence[str], *, as_json: bool) -> None:
    """Collect as a configuration file says, and print the report if asked.

    Raises:
        ModelSatError: see :func:`collect`.
    """
    interrupt_on_sigterm()
    config = load_config(CollectConfig, path, overrides)
    report = collect(config)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    reasons = "; ".join(row["reason"] for row in report["failures"])
    if reasons:
        raise GradingError(f"{reasons}; the others are done: fix the cause and run again")
    if report["truncated"]:
        raise TruncationError("; ".join(row["reason"] for row in report["truncated"]))
    used = report["used"]
    sys.stderr.write(
        f"collect: {report['num_asked']} of {report['num_sampled']} prompts asked, "
        f"{used['requests']} requests, {used['tokens']} tokens, {used['usd']:.2f} USD; "
        f"{config.output_dir}\n"
    )


def print_plan(path: str, overrides: Sequence[str], *, as_json: bool) -> None:
    """Print what a collection would ask and use at most; asks nothing and writes nothing."""
    config = load_config(CollectConfig, path, overrides)
    questions, facts = draw_sample(config)
    meter = _meter(config)
    most = meter.most_by_name(questions)
    described = {
        **facts,
        "at_most": {name: vars(used) for name, used in most.items()},
        "num_within_budget": meter.num_affordable(questions, Usage()),
    }
    text = json.dumps(described, indent=2) if as_json else "\n".join(_plan_lines(described))
    sys.stdout.write(text + "\n")


def collect(config: CollectConfig) -> dict[str, Any]:
    """Let every candidate answer a sample of own prompts; what is done is kept.

    Files can be read by their owner only.

    Returns:
        The report, also in ``report.json``: counts of prompts and topics, what was used, and the
        candidates' counts. Candidates that failed stand under ``failures``, those with too many
        answers that were cut off under ``truncated``.

    Raises:
        ArtifactError: a file of prompts is wrong or there is no prompt.
        ConfigError: the folder holds another sample, ``redact`` fails, or a price is missing.
        ModelSatError: see :func:`profiling.aptitude_test.profile_zoo`.
    """
    os.umask(0o077)  # Ray's workers, started here, inherit it
    meter = _meter(config)
    questions, facts = kept_sample(config)
    rounds: list[_Round] = []
    used = Usage()
    waiting = questions
    while waiting and not (rounds and rounds[-1].report["failures"]):
        folder = config.output_dir / _ROUNDS_FOLDER / f"{len(rounds):03d}"
        rows = _next_prompts(folder, waiting, meter, used)
        if not rows:
            break
        report = profile_zoo(_profile_config(config, folder))
        rounds.append(_Round(rows, _outcomes(folder), report))
        used += meter.spent(rows, rounds[-1].outcomes)
        waiting = waiting[len(rows) :]
    return _write_results(rounds, used, facts, config)


def _next_prompts(folder: Path, waiting: list[Row], meter: Meter, used: Usage) -> list[Row]:
    """Return the prompts of a round, written by an earlier run or now; empty if there is none."""
    path = folder / "questions.parquet"
    if path.exists():
        return read_table(QUESTIONS, path).to_pylist()
    number = meter.num_affordable(waiting, used)
    if number < min(len(waiting), _MIN_ROUND):
        return []
    write_table(QUESTIONS, waiting[:number], path)
    return waiting[:number]


def _meter(config: CollectConfig) -> Meter:
    zoo = load_zoo(config.zoo)
    judge = None
    if config.judge is not None:
        named = [one for one in zoo.candidates if one.name == config.judge.name]
        judge = named[0] if named else None
    return Meter(zoo.select(config.candidates), judge, config)


def _profile_config(config: CollectConfig, folder: Path) -> ProfileConfig:
    shared = config.model_dump(include=set(AskingConfig.model_fields) - {"output_dir"})
    return ProfileConfig(
        **shared, output_dir=folder, questions=(folder / "questions.parquet",), tasks=None
    )


def _outcomes(folder: Path) -> pa.Table:
    path = folder / "outcomes.parquet"
    return read_table(OUTCOMES, path) if path.exists() else OUTCOMES.arrow.empty_table()


def _write_results(
    rounds: Sequence[_Round],
    used: Usage,
    facts: dict[str, Any],
    config: CollectConfig,
) -> dict[str, Any]:
    questions = [row for one in rounds for row in one.questions]
    outcomes = pa.concat_tables([OUTCOMES.arrow.empty_table(), *(one.outcomes for one in rounds)])
    report = {
        **facts,
        "num_asked": len(questions),
        "used": vars(used),
        "candidates": _counts(outcomes),
        "failures": [row for one in rounds for row in one.report["failures"]],
        "truncated": [row for one in rounds for row in one.report["truncated"]],
    }
    if not questions:
        raise ConfigError(
            f"the budget allows fewer than {min(_MIN_ROUND, facts['num_sampled'])} prompts if "
            "every answer has full length; raise it, lower max_new_tokens, or name fewer candidates"
        )
    write_table(QUESTIONS, questions, config.output_dir / "questions.parquet")
    write_table(OUTCOMES, outcomes, config.output_dir / "outcomes.parquet")
    zoo = load_zoo(config.zoo).select(config.candidates)
    rows = [_described(candidate) for candidate in zoo]
    write_table(CANDIDATES, rows, config.output_dir / "candidates.parquet")
    path = config.output_dir / _REPORT_FILE
    if not path.exists() or read_json(path) != report:
        write_json(path, report)
    return report


def _counts(outcomes: pa.Table) -> list[dict[str, Any]]:
    from profiling.report import accuracy, count_outcomes

    found = []
    for name in dict.fromkeys(outcomes["candidate"].to_pylist()):
        own = outcomes.filter(pc.equal(outcomes["candidate"], name))
        found.append({"candidate": name, **count_outcomes(own), **accuracy(own)})
    return found


def _described(candidate: Candidate) -> Row:
    price = candidate.price
    return {
        "candidate": candidate.name,
        "price_in_usd_per_mtok": price.input_usd_per_mtok if price else None,
        "price_out_usd_per_mtok": price.output_usd_per_mtok if price else None,
    }


def _plan_lines(described: dict[str, Any]) -> list[str]:
    lines = [sample_text(described)]
    lines += [f"left out: {number} ({reason})" for reason, number in described["left_out"].items()]
    lines += [
        f"{topic['name']}: {topic['num_sampled']} of {topic['num_prompts']} prompts"
        for topic in described["topics"]
    ]
    lines += [
        f"{name}: {used['requests']} requests, at most {used['tokens']} tokens, "
        f"{used['usd']:.2f} USD"
        for name, used in described["at_most"].items()
    ]
    within, sampled = described["num_within_budget"], described["num_sampled"]
    if within < sampled:
        lines.append(
            f"the budget allows {within} of {sampled} prompts if every answer has full length; "
            "more are asked as answers turn out shorter"
        )
    return lines
