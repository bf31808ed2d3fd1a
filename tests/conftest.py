"""Settings of every test run, made before any test module is imported."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A shell that starts the tests in the background lets them ignore Ctrl-C, and with them every
# command that they start; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No test asks a model hub; every model is a local directory.
os.environ["HF_HUB_OFFLINE"] = "1"
# Ray reports usage over the network and colours its logs by default.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_COLOR_PREFIX"] = "0"
# A single slow example, on a machine under load, is not a failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none; nothing else is ever skipped."""
    if Path("/dev/nvidia0").exists():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU; none on this machine"))
