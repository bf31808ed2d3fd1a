"""A router directory that all tests of this folder share."""

import pytest

from tests.support.serve_app.small_zoo import write_router


@pytest.fixture(scope="session")
def router_dir(tmp_path_factory):
    return write_router(tmp_path_factory.mktemp("router"))
