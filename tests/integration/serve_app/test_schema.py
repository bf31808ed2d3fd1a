"""The application keeps to the schema that it publishes: fuzzed by schemathesis, all checks.

Without a cluster, so that many examples take little time; `fleet/test_schema_over_haproxy.py` sends
a few through everything that stands before the application.
"""

from pathlib import Path

import httpx
import pytest

from tests.support.serve_app.fuzzing import CAPABLE, fuzz
from tests.support.serve_app.in_process import served_in_process
from tests.support.upstream import running_upstream

NUM_EXAMPLES = 100


@pytest.mark.timeout(900)
def test_nothing_breaks_the_schema(tmp_path: Path):
    names = ("fuzzed-a", "fuzzed-b")
    with (
        running_upstream() as upstream,
        served_in_process(tmp_path, names, upstream.url, CAPABLE) as origin,
    ):
        fuzz(origin, tmp_path, NUM_EXAMPLES)
        assert httpx.get(f"{origin}/v1/models", trust_env=False).status_code == 200  # unharmed
