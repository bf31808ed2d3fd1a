"""Limits that routers must meet on real outcomes."""

import numpy as np

from modelsat.evaluation.limit_checks import LimitCheck, at_least, at_most
from modelsat.evaluation.metrics import Interval, cell_auc
from tests.benchmarks.quality.auc_gain import auc_gain
from tests.benchmarks.quality.benchmark import BenchmarkResults, SliceResults
from tests.benchmarks.quality.gains import (
    best_auc,
    calibration_errors,
    discrimination,
    pooled_gains,
    zoo_figures,
)
from tests.benchmarks.quality.out_of_domain import TOGETHER
from tests.benchmarks.quality.predictions import ROUTER, pooled
from tests.benchmarks.quality.routellm import GSM8K_FIVE_FOLD, GSM8K_UNLABELLED

MIN_AUC_GAIN = 0.010  # over the baseline with the largest AUC
MIN_GAIN_POINTS = 0.5  # over the best single candidate, mean of all zoos
MIN_CLOSE_GAIN_POINTS = 1.0  # mean of the close zoos
MIN_ZOO_GAIN_POINTS = -0.3  # of every single zoo
MAX_HELD_OUT_AUC_LOSS = 0.015
MAX_ECE = 0.03
MAX_CANDIDATE_ECE = 0.05  # mean over candidates
MIN_APGR = {GSM8K_UNLABELLED: 0.622, GSM8K_FIVE_FOLD: 0.68}
MAX_HOURS = 5.0  # of the whole benchmark


def check_benchmark(results: BenchmarkResults) -> list[LimitCheck]:
    """Check every limit, slice by slice."""
    checks = [check for one in results.slices for check in check_slice(one)]
    for name, edit in results.edits.items():
        what = f"{name}: {edit.edited} raised on {edit.num_cards} cards"
        spill = edit.other_change / max(edit.edited_change, 1e-9)
        checks += [
            at_least(f"{what}, share of cards whose scores rise", edit.share_risen, 0.9, 2),
            at_most(f"{what}, change of {edit.other} relative to it", spill, 1 / 3, 2),
        ]
    for setting, limit in MIN_APGR.items():
        for row in results.routellm.get(setting, ()):
            if row.name == ROUTER:
                what = f"RouteLLM APGR, {setting}"
                checks.append(at_least(what, row.curve.apgr, limit, num_decimals=3))
    for zoo in results.out_of_domain:
        if zoo.benchmark == TOGETHER:
            what = f"out of domain, zoo {zoo.zoo}: gain over best single, points"
            checks.append(at_least(what, _points(zoo.gain), 0.0, 2))
    hours = results.effort.seconds / 3600
    return [*checks, at_most("hours for the whole benchmark", hours, MAX_HOURS, 1)]


def check_slice(results: SliceResults) -> list[LimitCheck]:
    """Check the limits of one slice."""
    whole, setups, name = pooled(results.folds), results.setups, results.name
    figures = discrimination(results.folds)
    best = best_auc(figures)
    lead = (figures[ROUTER].auc or 0.0) - (figures[best].auc or 0.0)
    everything = pooled_gains(whole, setups, setups.zoos)
    best_name, _ = everything.best_baseline
    error, by_candidate = calibration_errors(whole.scores[ROUTER], whole)
    checks = [
        at_least(f"{name}: AUC over the best baseline ({best})", lead, MIN_AUC_GAIN, 4),
        at_least(
            f"{name}: gain over best single, mean of zoos, points",
            _points(everything.router),
            MIN_GAIN_POINTS,
            2,
        ),
        at_least(
            f"{name}: mean gain over the best baseline ({best_name}), points",
            _points(everything.over_best_baseline),
            0.0,
            2,
        ),
        at_most(f"{name}: ECE", error, MAX_ECE, 3),
        at_most(
            f"{name}: ECE, mean over candidates",
            float(np.mean(list(by_candidate.values()))),
            MAX_CANDIDATE_ECE,
            3,
        ),
    ]
    if setups.close:
        close = pooled_gains(whole, setups, setups.close).router
        checks += [
            at_least(
                f"{name}: gain on the close zoos, points", _points(close), MIN_CLOSE_GAIN_POINTS, 2
            ),
            at_least(f"{name}: lower end of its interval, points", 100 * close.low, 0.0, 2),
        ]
    for zoo in zoo_figures(whole, setups):
        what = f"{name}: gain on zoo {zoo.name}, points"
        checks += [
            at_least(what, _points(zoo.gain), MIN_ZOO_GAIN_POINTS, 2),
            at_least(f"{what}, upper end of its interval", 100 * zoo.gain.high, 0.0, 2),
        ]
    return checks + _held_out_checks(results)


def held_out_auc(results: SliceResults) -> dict[str, tuple[float, float]]:
    """Return AUCs on the held-out candidates' cells, by candidate and over all of them (``all``).

    Returns:
        AUC of the router that was not trained on them, and of the router that was; empty without
        held-out candidates.
    """
    if results.held_out is None:
        return {}
    names = results.setups.held_out
    made = {}
    for label, members in [("all", names), *((name, (name,)) for name in names)]:
        without, trained = results.held_out.of(members), results.folds[0].of(members)
        aucs = [cell_auc(p.scores[ROUTER], p.correct_QM) for p in (without, trained)]
        made[label] = (aucs[0] or 0.0, aucs[1] or 0.0)
    return made


def held_out_loss(results: SliceResults) -> Interval | None:
    """Return the AUC lost on the held-out candidates' cells by not training on them."""
    if results.held_out is None:
        return None
    trained, without = (
        part.of(results.setups.held_out) for part in (results.folds[0], results.held_out)
    )
    return auc_gain(trained.scores[ROUTER], without.scores[ROUTER], trained.correct_QM)


def _held_out_checks(results: SliceResults) -> list[LimitCheck]:
    aucs = held_out_auc(results)
    if not aucs:
        return []
    without, trained = aucs["all"]
    what = f"{results.name}: AUC lost on candidates never trained on"
    return [at_most(what, trained - without, MAX_HELD_OUT_AUC_LOSS, 4)]


def _points(interval: Interval) -> float:
    return 100 * interval.difference
