"""``modelsat evaluate --routing-log``, from the endpoint's own writer to the figures."""

import json

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from modelsat.artifacts.schemas import OUTCOMES
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import write_cards
from modelsat.cli import main as cli
from serve_app.config import RoutingLogOptions
from serve_app.contracts.request_record import RequestRecord
from serve_app.observe.routing_log import RoutingLog
from tests.support.router_parts import make_cards

SMALL, LARGE = "candidate-0", "candidate-1"


@pytest.fixture
def run(tmp_path):
    """Serves three requests, grades them, and evaluates the log."""
    log = RoutingLog(RoutingLogOptions(folder=tmp_path / "log", flush_interval_s=3600))
    for question, chosen in (("q1", SMALL), ("q2", LARGE), ("q3", LARGE)):
        log.finished(
            RequestRecord(
                request_id=question,
                endpoint="chat",
                started_s=0.0,
                received_at=1_700_000_000.0,
                requested="auto",
                routed=True,
                candidate=chosen,
                reason="highest_score",
                confidence=0.75,
                scores={name: 0.75 if name == chosen else 0.25 for name in (SMALL, LARGE)},
                prompt_hash=question,
                attempts=[(chosen, "answered", 0.5)],
                ended_s=1.0,
                status=200,
            )
        )
    log.close()
    write_cards(make_cards(2), tmp_path / "cards.parquet")

    def evaluate(*cells, options=()):
        rows = [{"question_id": q, "candidate": c, "correct": float(v)} for q, c, v in cells]
        table = pa.Table.from_pylist(rows, schema=OUTCOMES.arrow)
        write_table(OUTCOMES, table, tmp_path / "outcomes.parquet")
        arguments = {
            "--routing-log": tmp_path / "log",
            "--cards": tmp_path / "cards.parquet",
            "--outcomes": tmp_path / "outcomes.parquet",
            "--report": tmp_path / "report",
        }
        words = [str(word) for pair in arguments.items() for word in pair]
        return CliRunner().invoke(cli.app, ["evaluate", *words, *options])

    return evaluate


def test_choices_are_compared_on_complete_questions(run, tmp_path):
    cells = [(q, c, c == SMALL) for q in ("q1", "q2") for c in (SMALL, LARGE)]
    result = run(*cells, ("q3", LARGE, True))
    assert result.exit_code == 0, result.output
    decisions = json.loads((tmp_path / "report" / "decisions.json").read_text())
    assert decisions["n_graded"] == 3
    assert decisions["accuracy"]["value"] == pytest.approx(2 / 3)
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (report["n_questions"], report["router"]["accuracy"]) == (2, 0.5)
    assert report["best_single"]["accuracy"] == report["oracle"] == 1.0
    assert (tmp_path / "report" / "report.html").exists()
    assert "3 decisions on 3 questions, 3 with a known outcome" in result.output


def test_without_other_candidates_outcomes_there_is_no_comparison(run, tmp_path):
    result = run(("q1", SMALL, True), options=["--json"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.output)
    assert printed["comparison"] is None
    assert printed["decisions"]["accuracy"]["value"] == 1.0
    assert not (tmp_path / "report" / "report.json").exists()
    assert "no comparison" in run(("q1", SMALL, True)).output


def test_rejects_a_log_together_with_a_router(run, tmp_path):
    result = run(("q1", SMALL, True), options=["--router", str(tmp_path)])
    assert result.exit_code != 0
    assert "omit --router" in str(result.exception) + result.output


def test_requires_a_log_or_a_router(tmp_path):
    words = [word for name in ("cards", "outcomes", "report") for word in (f"--{name}", "x")]
    result = CliRunner().invoke(cli.app, ["evaluate", *words])
    assert result.exit_code != 0
    assert "--routing-log" in str(result.exception) + result.output
