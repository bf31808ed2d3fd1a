"""Serving with each engine: one module per engine, named as in the zoo file."""

from importlib import import_module

from modelsat.zoo.candidate import Candidate
from serve_app.candidates.engines.protocol import ClusterEngine, ServingEngine


def engine_of(candidate: Candidate) -> ServingEngine:
    """Return the candidate's engine: ``Engine`` of the module called like ``candidate.engine``."""
    engine: ServingEngine = import_module(f"{__name__}.{candidate.engine}").Engine(candidate)
    return engine


def cluster_engine_of(candidate: Candidate) -> ClusterEngine:
    """Return the engine of a candidate with ``runs_on_cluster``."""
    engine = engine_of(candidate)
    assert isinstance(engine, ClusterEngine)
    return engine
