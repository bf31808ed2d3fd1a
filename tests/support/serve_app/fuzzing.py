"""Schemathesis against a served schema, all checks."""

import subprocess
import sys
from pathlib import Path

# Everything that the schema allows is something such a candidate takes.
CAPABLE = {
    "context_window": 2**50,
    "modalities": ["text", "image", "audio"],
    "tools": True,
    "endpoints": ["chat", "completions", "embeddings"],
    "price": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0},
}
_SETTINGS = Path(__file__).with_name("schemathesis.toml")


def fuzz(
    origin: str,
    folder: Path,
    num_examples: int,
    *,
    key: str | None = None,
    are_capable: bool = True,
) -> None:
    """Check that a server keeps to the schema that it publishes.

    Args:
        origin: of the server.
        folder: where schemathesis may write.
        num_examples: of each operation.
        key: API key of every request.
        are_capable: whether every candidate takes all that the schema allows; otherwise a request
            may rightly be refused, for example because its prompt is too long.

    Raises:
        AssertionError: with the end of the report, when a check fails.
    """
    headers = () if key is None else ("--header", f"Authorization: Bearer {key}")
    checks = () if are_capable else ("--exclude-checks", "positive_data_acceptance")
    fuzzed = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(_SETTINGS)),
            *("run", f"{origin}/openapi.json", "--checks", "all", "--mode", "all"),
            *checks,
            *("--max-examples", str(num_examples), "--suppress-health-check", "all"),
            *("--seed", "0", "--no-color", *headers),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert fuzzed.returncode == 0, fuzzed.stdout[-6000:] + fuzzed.stderr[-2000:]
