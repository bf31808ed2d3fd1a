"""Each sign of failure is detected, and not reported without cause."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import write_cards
from modelsat.cli.main import app
from modelsat.errors import ZooError
from modelsat.evaluation.diagnosis import (
    diagnose,
    one_choice,
    slow_routing,
    uniform_scores,
)
from modelsat.modeling.checkpoint import save_router
from modelsat.routing.scoring import Scorer
from tests.support.router_parts import make_matrix, make_router

MATRIX = make_matrix(per_topic=30)
RIGHT = np.where(MATRIX.correct_QM > 0, 0.9, 0.1).astype(np.float32)


def test_detects_near_uniform_scores():
    flat = np.full_like(RIGHT, 0.4)
    assert uniform_scores(flat, MATRIX).is_fault
    assert uniform_scores(flat, MATRIX).figure == 0.0
    sign = uniform_scores(RIGHT, MATRIX)
    assert not sign.is_fault
    expected = np.mean([row.std() for row in RIGHT]) / MATRIX.correct_QM.mean(0).std()
    assert sign.figure == pytest.approx(expected, rel=1e-5)


def test_fixed_choice_is_a_fault_only_if_others_would_do_better():
    fixed = np.tile(np.array([0.9, 0.2, 0.1], dtype=np.float32), (len(MATRIX), 1))
    sign = one_choice(fixed, MATRIX)
    assert sign.is_fault
    assert sign.figure == 1.0
    assert "earth gets 100.0%" in sign.finding
    assert "gain 50.0 points" in sign.finding
    assert not one_choice(RIGHT, MATRIX).is_fault
    ruler = replace(MATRIX, correct_QM=np.tile(np.float32([1, 0, 0]), (len(MATRIX), 1)))
    assert not one_choice(fixed, ruler).is_fault


def test_routing_time_is_compared_with_the_fastest_candidate():
    assert slow_routing(0.2, {"a": 0.1, "b": 3.0}).is_fault
    assert not slow_routing(0.2, {"a": 0.4, "b": 3.0}).is_fault
    assert slow_routing(0.2, {}).is_fault is None


def test_rejects_a_single_candidate_and_unknown_new_candidates(tmp_path):
    scorer = Scorer(make_router(tmp_path))
    alone = replace(MATRIX, cards=MATRIX.cards[:1], correct_QM=MATRIX.correct_QM[:, :1])
    with pytest.raises(ZooError, match="at least two"):
        diagnose(scorer, alone)
    with pytest.raises(ZooError, match="nobody are not in the zoo of earth, school, none"):
        diagnose(scorer, MATRIX, new=["nobody"])


def test_command_prints_faults_and_sets_the_exit_code(tmp_path):
    save_router(make_router(tmp_path / "parts"), tmp_path / "router")
    write_cards(MATRIX.cards, tmp_path / "cards.parquet")
    rows = zip(MATRIX.question_ids, MATRIX.instructions, MATRIX.tasks, strict=True)
    questions = [
        {"question_id": q, "benchmark": "toy", "task": task, "prompt": text, "answer": "x"}
        for q, text, task in rows
    ]
    write_table(QUESTIONS, questions, tmp_path / "questions.parquet")
    outcomes = [
        {"question_id": q, "candidate": name, "correct": float(MATRIX.correct_QM[i, j])}
        | {"latency_s": 1e-6}
        for i, q in enumerate(MATRIX.question_ids)
        for j, name in enumerate(MATRIX.candidates)
    ]
    write_table(OUTCOMES, outcomes, tmp_path / "outcomes.parquet")
    options = [
        part
        for name in ("router", "cards.parquet", "questions.parquet", "outcomes.parquet")
        for part in (f"--{name.split('.')[0]}", str(tmp_path / name))
    ]
    shown = CliRunner().invoke(app, ["diagnose", *options])
    assert shown.exit_code == 1
    assert "slow routing: the router is larger than some candidates" in shown.stdout
    document = CliRunner().invoke(app, ["diagnose", *options, "--json"])
    signs = {sign["name"]: sign for sign in json.loads(document.stdout)["signs"]}
    other = [replace(card, tasks_hash="another") for card in MATRIX.cards]
    write_cards(other, tmp_path / "cards.parquet")
    refused = CliRunner().invoke(app, ["diagnose", *options])
    assert "comes from task set another" in refused.output
    taken = CliRunner().invoke(app, ["diagnose", *options, "--json", "--any-test"])
    same = {sign["name"]: sign for sign in json.loads(taken.stdout)["signs"]}
    uniform = "near-uniform scores"
    assert same[uniform]["figure"] == pytest.approx(signs[uniform]["figure"])
    assert signs["slow routing"]["is_fault"] is True
    assert signs["new candidates routed badly"]["is_fault"] is None
