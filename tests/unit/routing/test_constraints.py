"""Constraints: values that make no sense are refused."""

import math

import pytest
from pydantic import ValidationError

from modelsat.routing.constraints import Constraints


@pytest.mark.parametrize(
    "values",
    [
        {"tolerance": -0.1},
        {"tolerance": 5},
        {"tolerance": math.nan},
        {"min_p": 1.01},
        {"max_cost": -1},
        {"max_cost": math.inf},
        {"models": ()},
        {"models": ("a", "")},
        {"tolerence": 0.1},
    ],
)
def test_constraints_that_make_no_sense_are_refused(values):
    with pytest.raises(ValidationError, match=next(iter(values))):
        Constraints(**values)


@pytest.mark.parametrize(
    ("values", "needed"),
    [({}, False), ({"min_p": 0.5}, False), ({"tolerance": 0.0}, True), ({"max_cost": 0.0}, True)],
)
def test_limits_that_need_costs(values, needed):
    assert Constraints(**values).needs_costs is needed
