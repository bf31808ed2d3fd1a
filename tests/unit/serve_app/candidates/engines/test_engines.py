"""The engine modules of the applications agree with the library's table of engines."""

from importlib import import_module

import pytest

from modelsat.zoo.engines import CANDIDATE_TYPES
from profiling.engines.protocol import ProfilingEngine
from serve_app.candidates.engines.protocol import ClusterEngine, ServingEngine


@pytest.mark.parametrize(("engine", "candidate_type"), CANDIDATE_TYPES.items())
def test_every_engine_can_be_profiled_and_served(engine, candidate_type):
    assert issubclass(import_module(f"profiling.engines.{engine}").Engine, ProfilingEngine)
    served = import_module(f"serve_app.candidates.engines.{engine}").Engine
    assert issubclass(served, ServingEngine)
    assert issubclass(served, ClusterEngine) is candidate_type.runs_on_cluster
