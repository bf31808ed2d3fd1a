"""A few examples of `test_schema.py` through HAProxy, Serve and a key."""

from pathlib import Path

import pytest

from tests.support.serve_app.administered import CLIENT_KEY
from tests.support.serve_app.fuzzing import fuzz
from tests.support.serve_app.reliability import Endpoint

pytestmark = [pytest.mark.ray, pytest.mark.alone]

NUM_EXAMPLES = 10


def test_nothing_between_breaks_the_schema(endpoint: Endpoint, tmp_path: Path):
    origin = endpoint.config.url.removesuffix("/v1")
    fuzz(origin, tmp_path, NUM_EXAMPLES, key=CLIENT_KEY, are_capable=False)
    assert endpoint.ask().status_code == 200  # unharmed
