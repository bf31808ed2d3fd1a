"""Files of a served zoo, and the public command that serves it."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import yaml

from serve_app.config import ServeConfig

STEADY = "tiny/steady"  # always one replica; the slash must survive paths and headers
ELASTIC = "tiny-elastic"  # one replica, two under load
SHARER = "tiny-sharer"  # answered by the engine of STEADY, with a longer prompt
HINT = "briefly"  # what its chat template adds
NAMES = (STEADY, ELASTIC, SHARER)


@dataclass(frozen=True)
class Artifacts:
    """Files of one served zoo."""

    zoo: Path
    cards: Path
    router: Path

    def config(
        self, *, scorer: Mapping[str, object] | None = None, **changes: object
    ) -> ServeConfig:
        """Settings of an endpoint. It scores in float32, whatever the processor."""
        registry = {"folder": self.zoo.parent / f"registry-{uuid4().hex[:8]}"}
        defaults = {**vars(self), "port": free_port(), "registry": registry}
        return ServeConfig(
            **{**defaults, **changes, "scorer": {"dtype": "float32", **(scorer or {})}}
        )


def write_config(path: Path, config: ServeConfig) -> Path:
    """The configuration as the YAML file that the command reads."""
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return path


def start_serve(config: Path, *options: str, **environment: str) -> subprocess.Popen:
    """The command in a process group of its own, on the cluster of RAY_ADDRESS or its own."""
    inherited = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, "-m", "serve_app.serve", "--config", str(config), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**inherited, **environment, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
