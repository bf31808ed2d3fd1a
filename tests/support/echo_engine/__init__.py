"""A third engine, as a contributor would add it: one module for the library and each application.

``echo`` answers with the last word of the prompt. :func:`install` puts the three modules where the
table of engines and the two dispatches look for them.
"""

import sys

import pytest

from modelsat.zoo.engines import CANDIDATE_TYPES
from tests.support.echo_engine import candidate, profiling, serving


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the engine known for the length of a test."""
    monkeypatch.setitem(CANDIDATE_TYPES, "echo", candidate.EchoCandidate)
    monkeypatch.setitem(sys.modules, "profiling.engines.echo", profiling)
    monkeypatch.setitem(sys.modules, "serve_app.candidates.engines.echo", serving)
