"""The endpoint keeps to the schema that it publishes: fuzzed by schemathesis, all checks."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.serve_app.reliability import serving
from tests.support.serve_app.served import Artifacts

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

NAMES = ("fuzzed-a", "fuzzed-b")
# Everything that the schema allows is something these candidates take.
CAPABLE = {
    "context_window": 2**50,
    "modalities": ["text", "image", "audio"],
    "tools": True,
    "endpoints": ["chat", "completions", "embeddings"],
}
NUM_EXAMPLES = 200


def test_nothing_breaks_the_schema(artifacts: Artifacts, ray_cluster: None, tmp_path: Path):
    entries = dict.fromkeys(NAMES, CAPABLE)
    with serving(tmp_path, artifacts.router, NAMES, entries=entries) as endpoint:
        endpoint.settle()
        origin = endpoint.config.url.removesuffix("/v1")
        fuzzed = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                *("--config-file", str(Path(__file__).with_name("schemathesis.toml"))),
                *("run", f"{origin}/openapi.json", "--checks", "all", "--mode", "all"),
                *("--max-examples", str(NUM_EXAMPLES), "--suppress-health-check", "all"),
                *("--seed", "0", "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert fuzzed.returncode == 0, fuzzed.stdout[-6000:]
        assert endpoint.ask().status_code == 200  # unharmed
