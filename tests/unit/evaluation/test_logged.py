"""Evaluation of a routing log agrees with counts by hand and with the router's report."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS, ROUTING_LOG
from modelsat.artifacts.store import write_table
from modelsat.errors import ArtifactError, ConfigError
from modelsat.evaluation.decision_log import read_routing_log
from modelsat.evaluation.evaluate import evaluate_router
from modelsat.evaluation.logged import evaluate_log
from modelsat.evaluation.metrics import grouped_mean
from modelsat.evaluation.report import render_html
from modelsat.routing.scoring import Scorer
from tests.support.router_parts import make_cards, make_matrix, make_router

START = datetime(2026, 1, 1, tzinfo=UTC)
CARDS = make_cards(2)  # candidate-0, candidate-1


def decision(number, question_id, scores, **changes):
    """A routed request that the candidate with the highest score answered."""
    best = max(scores, key=scores.get) if scores else "candidate-0"
    return {
        "decision_id": f"d{number}",
        "question_id": question_id,
        "request_id": f"r{number}",
        "logged_at": START + timedelta(seconds=number),
        "profile": "auto",
        "candidate": best,
        "reason": "highest_score",
        "confidence": scores.get(best),
        "scores": [{"candidate": name, "p_correct": p} for name, p in scores.items()],
        "zoo_version": 1,
        "status": 200,
        "attempts": [{"candidate": best, "outcome": "answered", "duration_s": 0.5}],
        "latency_s": 1.0,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost_usd": 0.25,
        **changes,
    }


def log_of(folder, *rows):
    write_table(ROUTING_LOG, rows, folder / "log.parquet")
    return read_routing_log(folder)


def outcomes_of(**correct):
    """Outcomes as question=(candidate-0's, candidate-1's); None where unknown."""
    rows = [
        {"question_id": question, "candidate": f"candidate-{place}", "correct": value}
        for question, values in correct.items()
        for place, value in enumerate(values)
        if value is not None
    ]
    return pa.Table.from_pylist(rows, schema=OUTCOMES.arrow)


def test_log_report_equals_the_routers_report(tmp_path):
    """The report of a log equals the report of the router that made its choices."""
    matrix = make_matrix(per_topic=15)
    scorer = Scorer(make_router(tmp_path / "parts"))
    expected = evaluate_router(scorer, matrix)
    log_odds = scorer.log_odds_in_batches(matrix.instructions, matrix.cards)
    scores = scorer.router.calibration.probabilities(log_odds)
    rows = [
        decision(i, question, dict(zip(matrix.candidates, map(float, row), strict=True)))
        for i, (question, row) in enumerate(zip(matrix.question_ids, scores, strict=True))
    ]
    questions = [
        {
            "question_id": question,
            "benchmark": "toy",
            "task": matrix.tasks[i],
            "prompt": matrix.instructions[i],
            "answer": "",
            "category": matrix.categories[i],
        }
        for i, question in enumerate(matrix.question_ids)
    ]
    outcomes = [
        {"question_id": question, "candidate": name, "correct": matrix.correct_QM[i, j]}
        for i, question in enumerate(matrix.question_ids)
        for j, name in enumerate(matrix.candidates)
    ]
    found = evaluate_log(
        log_of(tmp_path / "log", *rows),
        pa.Table.from_pylist(outcomes, schema=OUTCOMES.arrow),
        matrix.cards,
        pa.Table.from_pylist(questions, schema=QUESTIONS.arrow),
    )
    assert found.comparison == expected
    # Each question came once and the highest score answered: both views agree.
    assert found.decisions["accuracy"]["value"] == pytest.approx(expected["router"]["accuracy"])
    shares = {name: share for name, share in expected["shares"].items() if share}
    assert found.decisions["shares"] == pytest.approx(shares)


def test_decisions_are_counted_as_often_as_made(tmp_path):
    sure, unsure = (
        {"candidate-0": 0.9, "candidate-1": 0.5},
        {"candidate-0": 0.3, "candidate-1": 0.6},
    )
    log = log_of(
        tmp_path,
        decision(1, "q1", sure),
        decision(2, "q1", sure),
        decision(3, "q1", sure, latency_s=3.0),
        decision(4, "q2", unsure),
        decision(5, "q3", unsure, profile="auto-cheap", cost_usd=None),
    )
    found = evaluate_log(log, outcomes_of(q1=(1.0, None), q2=(1.0, 0.0)), CARDS).decisions
    assert (found["n_decisions"], found["n_questions"], found["n_graded"]) == (5, 3, 4)
    assert found["accuracy"]["value"] == pytest.approx(3 / 4)
    assert found["shares"] == {"candidate-0": 0.6, "candidate-1": 0.4}
    assert found["by_profile"] == {
        "auto": {"n_decisions": 4, "n_graded": 4, "accuracy": 0.75},
        "auto-cheap": {"n_decisions": 1, "n_graded": 0, "accuracy": None},
    }
    calibration = found["calibration"]
    assert calibration["n"] == 4
    assert calibration["mean_stated"] == pytest.approx((3 * 0.9 + 0.6) / 4)
    assert calibration["brier"] == pytest.approx((3 * 0.1**2 + 0.6**2) / 4, abs=1e-6)
    assert calibration["ece"] == pytest.approx((3 * 0.1 + 0.6) / 4, abs=1e-6)
    assert found["cost_usd"] == {
        "n": 4,
        "total": pytest.approx(1.0),
        "per_correct_answer": pytest.approx(1.0 / 3),
    }
    assert found["latency_s"]["p50"] == 1.0
    assert (found["prompt_tokens"], found["completion_tokens"]) == (50, 25)
    assert found["first_logged_at"] == "2026-01-01T00:00:01+00:00"


def test_answer_is_graded_and_first_choice_is_compared(tmp_path):
    """The first choice failed, and another candidate answered."""
    scores = {"candidate-0": 0.9, "candidate-1": 0.5}
    fallback = decision(
        1,
        "q1",
        scores,
        candidate="candidate-1",
        attempts=[
            {"candidate": "candidate-0", "outcome": "timeout", "duration_s": 1.0},
            {"candidate": "candidate-1", "outcome": "answered", "duration_s": 0.5},
        ],
    )
    log = log_of(tmp_path, fallback, decision(2, "q2", scores))
    found = evaluate_log(log, outcomes_of(q1=(1.0, 0.0), q2=(1.0, 0.0)), CARDS)
    assert found.decisions["accuracy"]["value"] == 0.5
    assert found.decisions["fallback_fraction"] == 0.5
    # The calibration is that of who answered: 0.5 stated for candidate-1, 0.9 for candidate-0.
    assert found.decisions["calibration"]["mean_stated"] == pytest.approx(0.7)
    assert found.comparison["router"]["accuracy"] == 1.0
    assert found.comparison["shares"] == {"candidate-0": 1.0, "candidate-1": 0.0}


def test_comparison_uses_only_complete_questions(tmp_path):
    both, one = {"candidate-0": 0.4, "candidate-1": 0.6}, {"candidate-0": 0.4}
    log = log_of(
        tmp_path,
        decision(1, "complete", {"candidate-0": 0.9, "candidate-1": 0.1}),
        decision(2, "complete", both),  # the last time it came is what counts
        decision(3, "one-score", one),
        decision(4, "no-score", {}, reason="fail_open", confidence=None),
        decision(5, "not-finite", {"candidate-0": 0.4, "candidate-1": float("nan")}),
        decision(6, "half-graded", both),
        decision(7, "foreign", {**both, "other": 0.9}),
    )
    full = (0.0, 1.0)
    outcomes = outcomes_of(
        **{
            "complete": full,
            "one-score": full,
            "no-score": full,
            "not-finite": full,
            "half-graded": (1.0, None),
            "foreign": full,
        }
    )
    comparison = evaluate_log(log, outcomes, CARDS).comparison
    assert (comparison["n_questions"], comparison["n_excluded"]) == (1, 5)
    assert comparison["router"]["accuracy"] == 1.0
    assert comparison["random"] == 0.5
    assert "<svg" in render_html(comparison)


def test_decisions_are_reported_without_outcomes_of_all_candidates(tmp_path):
    scores = {"candidate-0": 0.9, "candidate-1": 0.5}
    log = log_of(tmp_path, decision(1, "q1", scores), decision(2, "q2", scores))
    found = evaluate_log(log, outcomes_of(q1=(1.0, None)), CARDS)
    assert found.comparison is None
    assert found.decisions["accuracy"]["value"] == 1.0
    nothing = evaluate_log(log, outcomes_of(), CARDS).decisions
    assert nothing["accuracy"] is nothing["calibration"] is None
    assert nothing["shares"] == {"candidate-0": 1.0}


def test_failed_request_is_not_an_answer(tmp_path):
    scores = {"candidate-0": 0.9, "candidate-1": 0.5}
    log = log_of(tmp_path, decision(1, "q1", scores, status=503), decision(2, "q2", scores))
    found = evaluate_log(log, outcomes_of(q1=(1.0, 0.0), q2=(0.0, 1.0)), CARDS).decisions
    assert (found["n_answered"], found["n_graded"], found["accuracy"]["value"]) == (1, 1, 0.0)


def test_learned_baselines_need_texts(tmp_path):
    log = log_of(tmp_path, decision(1, "q1", {"candidate-0": 0.9, "candidate-1": 0.5}))
    with pytest.raises(ConfigError, match="prompts"):
        evaluate_log(log, outcomes_of(q1=(1.0, 0.0)), CARDS, embed=lambda _texts: np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        (pa.concat_tables([outcomes_of(q1=(1.0, 0.0))] * 2), "two outcomes"),
        (outcomes_of(q1=(2.0, 0.0)), "outside"),
    ],
)
def test_rejects_contradictory_outcomes(tmp_path, outcomes, message):
    log = log_of(tmp_path, decision(1, "q1", {"candidate-0": 0.9, "candidate-1": 0.5}))
    with pytest.raises(ArtifactError, match=message):
        evaluate_log(log, outcomes, CARDS)


def test_folder_is_read_in_chronological_order(tmp_path):
    later = decision(2, "q2", {"candidate-0": 0.9})
    write_table(ROUTING_LOG, [later], tmp_path / "a.parquet")
    write_table(ROUTING_LOG, [decision(1, "q1", {"candidate-0": 0.9})], tmp_path / "b.parquet")
    assert read_routing_log(tmp_path).question_ids == ("q1", "q2")
    write_table(ROUTING_LOG, [later], tmp_path / "copy.parquet")
    with pytest.raises(ArtifactError, match="duplicate"):
        read_routing_log(tmp_path)


def test_rejects_a_folder_without_decisions(tmp_path):
    with pytest.raises(ArtifactError, match=r"no \*.parquet file"):
        read_routing_log(tmp_path)
    write_table(ROUTING_LOG, pa.Table.from_pylist([], ROUTING_LOG.arrow), tmp_path / "a.parquet")
    with pytest.raises(ArtifactError, match="no decision"):
        read_routing_log(tmp_path)


def test_repeated_answers_to_a_question_do_not_narrow_the_interval():
    rng = np.random.default_rng(3)
    outcomes = rng.integers(0, 2, 200).astype(np.float32)
    names = [str(i) for i in range(200)]
    once = grouped_mean(outcomes, names)
    repeated = grouped_mean(np.repeat(outcomes, 9), np.repeat(names, 9).tolist())
    assert repeated == pytest.approx(once)
    half = 1.96 * outcomes.std() / np.sqrt(200)
    assert once == pytest.approx((outcomes.mean() - half, outcomes.mean() + half), abs=0.2 * half)
