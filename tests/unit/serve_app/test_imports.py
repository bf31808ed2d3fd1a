"""Packages that importing a module of the application loads, each in a fresh process."""

import json
import subprocess
import sys

import pytest

ENGINE = ("vllm", "ray.llm", "ray.serve.llm")
TORCH = ("torch", "transformers", "sentence_transformers", "sklearn")
SERVER = ("ray", "fastapi", "starlette")

SCRIPT = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps([name for name in sys.argv[2:] if name in sys.modules]))
"""


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("serve_app.commands", (*ENGINE, *TORCH, *SERVER)),
        ("serve_app.ingress", (*ENGINE, *TORCH)),
        # The process that deploys loads the modules of every deployment except a candidate's.
        ("serve_app.lifecycle", (*ENGINE, *TORCH)),
        ("serve_app.candidates.engines.vllm", (*ENGINE, *TORCH)),
    ],
)
def test_importing_loads_nothing_unwanted(module, unwanted):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, module, *unwanted],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(result.stdout) == []
