"""One endpoint for all tests of this folder; each of them finds it settled."""

from collections.abc import Iterator

import pytest

from tests.support.serve_app.collector import Collector
from tests.support.serve_app.fleet import serving_fleet
from tests.support.serve_app.reliability import Endpoint
from tests.support.serve_app.served import Artifacts
from tests.support.serve_app.stage import Stage


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the traces of the fleet go."""
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def unsettled(
    artifacts: Artifacts, stage: Stage, collector: Collector, tmp_path_factory
) -> Endpoint:
    """The endpoint as the last test left it; none of its upstreams runs when it starts."""
    root = tmp_path_factory.mktemp("fleet")
    return stage.get("fleet", lambda: serving_fleet(root, artifacts.router, collector.url))


@pytest.fixture
def endpoint(unsettled: Endpoint) -> Endpoint:
    """The endpoint when all of its upstreams answer and it has found that out."""
    unsettled.settle()
    return unsettled
