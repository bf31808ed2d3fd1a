"""Profiling with each engine: one module per engine, named as in the zoo file."""

from importlib import import_module

from modelsat.zoo.candidate import Candidate
from profiling.engines.protocol import ProfilingEngine


def engine_of(candidate: Candidate) -> ProfilingEngine:
    """Return the candidate's engine: ``Engine`` of the module called like ``candidate.engine``."""
    engine: ProfilingEngine = import_module(f"{__name__}.{candidate.engine}").Engine(candidate)
    return engine
