"""Routing fields of a request: declared once, checked, described."""

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.routing.constraints import FIELDS, field_schemas
from serve_app.api.routing_fields import ConstraintError, read_fields

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
LIKELY = (
    st.floats(-1, 2)
    | st.sampled_from([0, 1, 2.0, 10**9, 10**400, "0.5", "a*"])
    | st.lists(st.sampled_from(["a", "b*", "", 1]), max_size=3)
    | st.integers(60, 70).map(lambda n: ["x*"] * n)
)


@given(field=st.sampled_from(FIELDS), value=LIKELY | JSON_VALUES)
def test_what_the_schema_allows_is_accepted_and_nothing_else(field, value):
    """The oracle is another implementation: jsonschema on the published schema."""
    schema = jsonschema.Draft202012Validator(field_schemas()[field])
    if schema.is_valid(value):
        expected = tuple(value) if isinstance(value, list) else value
        assert read_fields({field: value}) == {field: expected}
        return
    with pytest.raises(ConstraintError) as caught:
        read_fields({field: value})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tolerance": 1.5}, "tolerance must be a number from 0 to 1"),
        ({"min_p": None, "max_cost": "secret"}, "max_cost must be a number from 0 to 1e+09"),
        (
            {"models": ["a", ""]},
            "models must be a list of 1 to 1024 non-empty strings, at most 64 of them with a "
            "wildcard",
        ),
    ],
)
def test_a_refusal_says_what_is_allowed_and_repeats_nothing(values, message):
    with pytest.raises(ConstraintError) as caught:
        read_fields(values)
    assert str(caught.value) == message
