"""Entry of `modelsat collect`: every candidate answers a sample of own prompts.

    OUTPUT_DIR/
        sample.parquet          the sampled prompts, in the order in which they are asked
        rounds/NNN/             one profiling run over the next prompts of the sample
        used.json               requests, tokens and dollars of each candidate and round
        questions.parquet, outcomes.parquet, candidates.parquet, report.json

Without a budget there is one round. With one, a round is as large as the budget allows if every
answer has full length; what shorter answers leave over is used by the next.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.artifacts.schemas import CANDIDATES, OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_json, write_json, write_table
from modelsat.cli.app_errors import interrupt_on_sigterm
from modelsat.config import load_config
from modelsat.errors import ConfigError, GradingError, TruncationError
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.zoo_file import load_zoo
from profiling.budget import Meter, Usage
from profiling.collect_config import CollectConfig
from profiling.judge_address import find_judge
from profiling.ledger import Ledger
from profiling.rounds import QUESTIONS_FILE, Round
from profiling.traffic_sample import draw_sample, kept_sample, sample_lines

_ROUNDS_FOLDER = "rounds"
_REPORT_FILE = "report.json"
_LEDGER_FILE = "used.json"
_MIN_ROUND = 10  # prompts; engines are not started for fewer, unless they are the last

Row = dict[str, Any]


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
    meter = _meter(config)
    questions, facts = draw_sample(config, len(meter.candidates))
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
    questions, facts = kept_sample(config, len(meter.candidates))
    ledger = Ledger(config.output_dir / _LEDGER_FILE)
    rounds: list[Round] = []
    reports: list[dict[str, Any]] = []
    waiting = questions
    while waiting and not (reports and reports[-1]["failures"]):
        folder = config.output_dir / _ROUNDS_FOLDER / f"{len(rounds):03d}"
        if not _begin(folder, waiting, meter, ledger.total):
            break
        rounds.append(Round(folder, config, meter, ledger))
        reports.append(rounds[-1].run())
        waiting = waiting[len(rounds[-1].questions) :]
    return _write_results(rounds, reports, ledger.total, facts, meter.candidates, config)


def _begin(folder: Path, waiting: list[Row], meter: Meter, used: Usage) -> bool:
    """Write the prompts of a round unless an earlier run has; False if the budget allows none."""
    path = folder / QUESTIONS_FILE
    if path.exists():
        return True
    number = meter.num_affordable(waiting, used)
    if number < min(len(waiting), _MIN_ROUND):
        return False
    write_table(QUESTIONS, waiting[:number], path)
    return True


def _meter(config: CollectConfig) -> Meter:
    zoo = load_zoo(config.zoo)
    if config.judge is not None:
        find_judge(config.judge, config.zoo)
    by_name = {candidate.name: candidate for candidate in zoo.candidates}
    return Meter(by_name, zoo.select(config.candidates), config)


def _write_results(
    rounds: Sequence[Round],
    reports: Sequence[dict[str, Any]],
    used: Usage,
    facts: dict[str, Any],
    asked: Sequence[Candidate],
    config: CollectConfig,
) -> dict[str, Any]:
    questions = [row for one in rounds for row in one.questions]
    outcomes = pa.concat_tables([OUTCOMES.arrow.empty_table(), *(one.outcomes for one in rounds)])
    document = {
        **facts,
        "num_asked": len(questions),
        "used": vars(used),
        "candidates": _counts(outcomes),
        "failures": [row for report in reports for row in report["failures"]],
        "truncated": [row for report in reports for row in report["truncated"]],
    }
    if not questions:
        raise ConfigError(
            f"the budget allows fewer than {min(_MIN_ROUND, facts['num_sampled'])} prompts if "
            "every answer has full length; raise it, lower max_new_tokens, or name fewer candidates"
        )
    write_table(QUESTIONS, questions, config.output_dir / "questions.parquet")
    write_table(OUTCOMES, outcomes, config.output_dir / "outcomes.parquet")
    write_table(
        CANDIDATES, [_described(one) for one in asked], config.output_dir / "candidates.parquet"
    )
    path = config.output_dir / _REPORT_FILE
    if not path.exists() or read_json(path) != document:
        write_json(path, document)
    return document


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
    lines = sample_lines(described)
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
    if within < min(sampled, _MIN_ROUND):
        lines.append("the budget is too small: nothing would be asked")
    elif within < sampled:
        lines.append(
            f"the budget allows {within} of {sampled} prompts if every answer has full length; "
            "more are asked as far as shorter answers leave something over"
        )
    return lines
