"""Drift tests agree with an enumeration of all possibilities."""

from dataclasses import replace
from itertools import product
from math import comb

import numpy as np
import pytest

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.capability.cards import Card, Statement
from modelsat.capability.drift import check_drift, draw_slice, holm
from modelsat.errors import ConfigError, GradingError


def task_set(num_tasks=3, shots=4):
    return TaskSet(
        benchmark="b",
        tasks=tuple(
            CoreTask(
                task=f"t{t:02d}",
                keywords=tuple("abcde"),
                question_ids=tuple(f"t{t:02d}-{i}" for i in range(shots)),
            )
            for t in range(num_tasks)
        ),
    )


def card_of(tasks, *num_correct):
    statements = tuple(
        Statement(task.task, task.description, float(right), len(task.question_ids))
        for task, right in zip(tasks.tasks, num_correct, strict=True)
    )
    return Card("c", tasks.tasks_hash, statements)


def answers(tasks, *slices):
    """Number of correct and of asked questions for each task."""
    return {
        question_id: i < right
        for task, (right, asked) in zip(tasks.tasks, slices, strict=True)
        for i, question_id in enumerate(task.question_ids[:asked])
    }


def test_overall_p_value_matches_an_enumeration():
    tasks = task_set()
    before, again = (4, 3, 1), ((0, 2), (1, 3), (1, 2))
    ways = np.zeros(8)
    ranges = [range(asked + 1) for _, asked in again]
    for fallen in product(*ranges):
        # Right answers of card and slice together stay as they are, task by task.
        ways[sum(fallen)] += np.prod(
            [
                comb(asked, x) * comb(4, right + right_again - x)
                for x, right, (right_again, asked) in zip(fallen, before, again, strict=True)
            ]
        )
    share = ways / ways.sum()
    expected = min(1.0, 2 * min(share[: 2 + 1].sum(), share[2:].sum()))
    drift = check_drift(card_of(tasks, *before), tasks, answers(tasks, *again))
    assert drift.overall_p_value == pytest.approx(expected, rel=1e-12)
    assert (drift.num_asked, drift.num_correct) == (7, 2)
    assert drift.expected_correct == pytest.approx(2 + 3 * 0.75 + 2 * 0.25)


def test_task_is_compared_with_its_own_statement():
    # Pooled over tasks, 12 of 24 before and 12 of 24 now would look unchanged.
    tasks = task_set(2, shots=12)
    drift = check_drift(card_of(tasks, 12, 0), tasks, answers(tasks, (0, 12), (12, 12)))
    assert drift.overall_p_value == pytest.approx(1.0)
    assert [task.p_value for task in drift.tasks] == pytest.approx([4 / comb(24, 12)] * 2)
    assert drift.p_value == pytest.approx(8 / comb(24, 12))
    assert not drift.holds


def test_tasks_without_a_statement_are_left_out_and_points_are_rounded():
    tasks = task_set(3, shots=4)
    card = card_of(tasks, 2, 4, 4)
    card = replace(card, statements=card.statements[:2])
    scores = dict.fromkeys(tasks.question_ids, 0.6)
    drift = check_drift(card, tasks, scores)
    # 2.4 points of each of the two tasks.
    assert (drift.num_asked, drift.num_correct) == (8, 4)
    assert {task.task for task in drift.tasks} == {"t00", "t01"}


def test_unchanged_candidate_rarely_raises_an_alarm_and_a_worse_one_does():
    tasks = task_set(10, shots=20)
    rng = np.random.default_rng(0)
    alarms = {0.0: 0, 0.35: 0}
    num_runs = 60
    for run in range(num_runs):
        ability = rng.uniform(0.4, 0.95, size=10)
        card = card_of(tasks, *rng.binomial(20, ability))
        drawn = draw_slice(tasks, 100, seed=run)
        for drop in alarms:
            correct = {q: bool(rng.random() < ability[int(q[1:3])] - drop) for q in drawn}
            alarms[drop] += not check_drift(card, tasks, correct, significance=0.05).holds
    assert alarms[0.0] <= 0.05 * num_runs
    assert alarms[0.35] >= 0.95 * num_runs


def test_detectable_change_is_found_with_80_percent_power():
    tasks = task_set(10, shots=20)
    rng = np.random.default_rng(1)
    num_runs = 100
    found = 0
    for run in range(num_runs):
        card = card_of(tasks, *rng.binomial(20, 0.7, size=10))
        drawn = draw_slice(tasks, 100, seed=run)
        if run == 0:
            as_before = dict.fromkeys(drawn, True)
            change = check_drift(card, tasks, as_before, significance=0.05).detectable_fraction
        correct = {question_id: bool(rng.random() < 0.7 - change) for question_id in drawn}
        found += not check_drift(card, tasks, correct, significance=0.05).holds
    assert found / num_runs == pytest.approx(0.8, abs=0.1)


def test_slice_is_balanced_over_tasks_and_seeded():
    tasks = task_set(7, shots=5)
    drawn = draw_slice(tasks, 17, seed=3)
    per_task = [sum(q in task.question_ids for q in drawn) for task in tasks.tasks]
    assert sorted(per_task) == [2, 2, 2, 2, 3, 3, 3]
    assert len(set(drawn)) == 17
    assert draw_slice(tasks, 17, seed=3) == drawn
    assert set(draw_slice(tasks, 17, seed=4)) != set(drawn)
    assert sorted(draw_slice(tasks, 35, seed=0)) == sorted(tasks.question_ids)
    firsts = {draw_slice(tasks, 1, seed=seed) for seed in range(200)}
    assert len(firsts) > 30


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_invalid_input_raises_a_clear_error():
    tasks = task_set()
    card = card_of(tasks, 1, 1, 1)
    with pytest.raises(ConfigError, match=r"slice of 13 .* aptitude test of 12"):
        draw_slice(tasks, 13, seed=0)
    with pytest.raises(ConfigError, match="significance 5 is not between"):
        check_drift(card, tasks, {"t00-0": True}, significance=5)
    with pytest.raises(GradingError, match="answered no question"):
        check_drift(card, tasks, {})
    with pytest.raises(GradingError, match="is from task set"):
        check_drift(card, task_set(2), {"t00-0": True})
