"""vLLM's own load generator (`vllm bench serve`) against the endpoint: no request fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.serve_app.reliability import serving
from tests.support.serve_app.served import Artifacts
from tests.support.serve_app.tiny_artifacts import write_llama

pytestmark = pytest.mark.ray

# The command `vllm` asks for the metadata of a package of that name, and the CPU build has another.
BENCH_SERVE = """
import argparse
from vllm.benchmarks.serve import add_cli_args, main
parser = argparse.ArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""
NUM_PROMPTS = 40


@pytest.mark.parametrize("model", ["auto", "bench-a"])
def test_vllm_bench_serve_gets_every_answer(
    artifacts: Artifacts, ray_cluster: None, tmp_path: Path, model: str
):
    tokenizer = write_llama(tmp_path / "tokenizer", seed=0)
    with serving(tmp_path, artifacts.router, ("bench-a", "bench-b")) as endpoint:
        endpoint.settle()
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
            "result-dir": str(tmp_path),
            "result-filename": "result.json",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        done = subprocess.run(
            [sys.executable, "-c", BENCH_SERVE, *words, "--save-result"],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["completed"], result["failed"]) == (NUM_PROMPTS, 0)
    assert result["total_output_tokens"] > 0
