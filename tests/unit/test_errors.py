import pickle

import pytest

from modelsat import errors
from modelsat.errors import ModelSatError

LEAVES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, ModelSatError)
]


@pytest.mark.parametrize("kind", LEAVES)
def test_errors_can_be_pickled(kind):
    copy = pickle.loads(pickle.dumps(kind("what, which, allowed, do")))
    assert type(copy) is kind
    assert str(copy) == "what, which, allowed, do"


def test_exit_codes_are_distinct_and_nonzero():
    codes = [kind.exit_code for kind in LEAVES]
    assert len(set(codes)) == len(codes)
    assert all(0 < code < 128 for code in codes)


def test_docstring_lists_every_error():
    drawn = {line.split()[0] for line in errors.__doc__.splitlines() if "Error" in line}
    assert {kind.__name__ for kind in LEAVES} <= drawn
