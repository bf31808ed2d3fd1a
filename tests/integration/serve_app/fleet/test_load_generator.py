"""vLLM's own load generator (`vllm bench serve`) against the endpoint: no request fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.serve_app.administered import CLIENT_KEY
from tests.support.serve_app.fleet import NAMES
from tests.support.serve_app.reliability import Endpoint
from tests.support.serve_app.tiny_artifacts import write_llama

pytestmark = [pytest.mark.ray, pytest.mark.alone]

# The command `vllm` asks for the metadata of a package of that name, and the CPU build has another.
BENCH_SERVE = """
import argparse, json, sys
from vllm.benchmarks.serve import add_cli_args, main
parser = argparse.ArgumentParser()
add_cli_args(parser)
for words in json.loads(sys.argv[1]):
    main(parser.parse_args(words))
"""
NUM_PROMPTS = 40
MODELS = ("auto", NAMES[0])


def test_vllm_bench_serve_gets_every_answer(endpoint: Endpoint, tmp_path: Path):
    tokenizer = write_llama(tmp_path / "tokenizer", seed=0)
    runs = [arguments(endpoint, model, tokenizer, tmp_path) for model in MODELS]
    done = subprocess.run(
        [sys.executable, "-c", BENCH_SERVE, json.dumps(runs)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": CLIENT_KEY},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for model in MODELS:
        result = json.loads((tmp_path / f"{model}.json").read_text())
        assert (result["completed"], result["failed"]) == (NUM_PROMPTS, 0)
        assert result["total_output_tokens"] > 0


def arguments(endpoint: Endpoint, model: str, tokenizer: Path, folder: Path) -> list[str]:
    """Options of one run of the generator."""
    options = {
        "backend": "openai-chat",
        "base-url": endpoint.config.url.removesuffix("/v1"),
        "endpoint": "/v1/chat/completions",
        "model": model,
        "tokenizer": str(tokenizer),
        "dataset-name": "random",
        "random-input-len": "32",
        "random-output-len": "8",
        "num-prompts": str(NUM_PROMPTS),
        "max-concurrency": "8",
        "result-dir": str(folder),
        "result-filename": f"{model}.json",
    }
    return [*(word for k, value in options.items() for word in (f"--{k}", value)), "--save-result"]
