"""Packages that importing modules of the application loads, in a fresh process."""

import json
import subprocess
import sys

import pytest

ENGINE = ("vllm", "ray.llm", "ray.serve.llm")
TORCH = ("torch", "transformers", "sentence_transformers", "sklearn")
SERVER = ("ray", "fastapi", "starlette")

SCRIPT = """
import importlib, json, sys
for module in sys.argv[1].split():
    importlib.import_module(module)
print(json.dumps([name for name in sys.argv[2:] if name in sys.modules]))
"""


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        ("serve_app.commands", (*ENGINE, *TORCH, *SERVER)),
        # The process that deploys loads the modules of every deployment except a candidate's.
        (
            "serve_app.ingress serve_app.lifecycle serve_app.candidates.engines.vllm",
            (*ENGINE, *TORCH),
        ),
    ],
)
def test_importing_loads_nothing_unwanted(modules, unwanted):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, modules, *unwanted],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(result.stdout) == []
