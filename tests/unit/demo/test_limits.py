"""The limits of a demo run: met, missed, and loud."""

import pytest

from modelsat.demo.limits import check_router, check_zoo
from modelsat.errors import QualityError
from modelsat.evaluation.limit_checks import require


def report(router=0.9, best_single=0.5, best_per_task=0.93):
    """A report with the figures that the limits read."""
    return {
        "router": {"accuracy": router},
        "best_single": {"accuracy": best_single},
        "best_per_task": best_per_task,
        "single_accuracy": {"a": best_single, "b": 0.3},
    }


def met(checks):
    return [check.is_met for check in checks]


def test_router_limits():
    assert met(check_router(report())) == [True, True]
    assert met(check_router(report(best_single=0.76))) == [False, True]
    assert met(check_router(report(best_per_task=0.96))) == [True, False]


def test_zoo_limits():
    families = {"a": {"facts": 0.1, "text": 0.9}, "b": {"facts": 0.72, "text": 0.2}}
    expert = {"facts": 0.95, "text": 0.1}
    assert met(check_zoo({**families, "x": expert}, report(), "x")) == [True, True, True]
    weak = {**families, "b": {"facts": 0.6, "text": 0.2}}
    assert met(check_zoo({**weak, "x": expert}, report(), "x")) == [True, False, True]
    close = {**families, "x": {"facts": 0.9, "text": 0.1}}
    assert met(check_zoo(close, report(), "x")) == [True, True, False]
    assert met(check_zoo({**families, "x": expert}, report(best_single=0.61), "x"))[0] is False


def test_a_missed_limit_is_named():
    require(check_router(report()))
    with pytest.raises(QualityError, match=r"MISSED router over best single, points: 14\.0"):
        require(check_router(report(best_single=0.76)))
