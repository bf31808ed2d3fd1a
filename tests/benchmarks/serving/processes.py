"""The measured processes beside the served endpoint: upstream and LiteLLM's proxy."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, get_args

import httpx
import yaml

from modelsat.errors import MachineError
from tests.benchmarks import fresh_process
from tests.benchmarks.served_endpoint import Endpoint, bearer, free_port, new_key
from tests.benchmarks.serving.artifacts import ROOT, candidate_name
from tests.support.upstream import running_upstream

LITELLM_PINS = ROOT / "requirements" / "litellm.txt"
_LITELLM_VENV = ROOT / "build" / "litellm-venv"
LitellmServer = Literal["uvicorn", "granian"]
LITELLM_SERVERS: tuple[LitellmServer, ...] = get_args(LitellmServer)
_START_TIMEOUT_S = 300
_STOP_TIMEOUT_S = 60
_POLL_INTERVAL_S = 0.25


@contextmanager
def running_upstream_process() -> Iterator[Endpoint]:
    """Run the fake upstream in a process of its own."""
    with fresh_process.running(_serve_upstream) as url:
        yield Endpoint(url)


def _serve_upstream(ready: Connection) -> None:
    with running_upstream() as upstream:
        ready.send(upstream.url)
        threading.Event().wait()


@contextmanager
def litellm(
    folder: Path, upstream: Endpoint, num_workers: int, server: LitellmServer
) -> Iterator[Endpoint]:
    """LiteLLM's proxy with the settings that its documentation names for production.

    Those of docs.litellm.ai/docs/proxy/prod that need no database, Redis or Slack:
    ``LITELLM_LOG=ERROR``, ``LITELLM_MODE=PRODUCTION``, a master key, no verbose logging, JSON
    logs, and the error and spend logs off.

    Args:
        folder: folder of its configuration and log.
        upstream: server behind its one model.
        num_workers: number of processes.
        server: HTTP server; its documentation advises uvicorn, and granian is the fastest that it
            supports.
    """
    key, port = new_key(), free_port()
    model = {"model": f"openai/{candidate_name(0)}", "api_base": upstream.url, "api_key": "none"}
    config = {
        "model_list": [{"model_name": candidate_name(0), "litellm_params": model}],
        "general_settings": {
            "master_key": key,
            "proxy_batch_write_at": 60,
            "disable_spend_logs": True,
            "disable_error_logs": True,
        },
        "litellm_settings": {"request_timeout": 600, "set_verbose": False, "json_logs": True},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "litellm.yaml").write_text(yaml.safe_dump(config))
    command = [str(_LITELLM_VENV / "bin" / "litellm"), "--config", str(folder / "litellm.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", str(num_workers)]
    command += ["--run_granian"] if server == "granian" else []
    # The price list is read from the package: its URL cannot be reached everywhere.
    environment = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    with _running(command, environment, folder / "litellm.log") as process:
        endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", bearer(key))
        _wait_until_answers(endpoint, process, folder / "litellm.log")
        yield endpoint


def install_litellm() -> str:
    """Create LiteLLM's virtual environment if it is missing; return LiteLLM's version."""
    stamp = _LITELLM_VENV / "pins.txt"
    pins = LITELLM_PINS.read_text()
    if not stamp.exists() or stamp.read_text() != pins:
        subprocess.run([sys.executable, "-m", "venv", "--clear", _LITELLM_VENV], check=True)
        pip = [str(_LITELLM_VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        pip += ["install", "-qq", "--no-deps", "-r", str(LITELLM_PINS)]
        subprocess.run(pip, check=True)
        stamp.write_text(pins)
    versions = dict(line.split("==") for line in pins.splitlines() if "==" in line)
    return versions["litellm"]


@contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_answers(endpoint: Endpoint, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    body = {"model": candidate_name(0), "messages": [{"role": "user", "content": "ready?"}]}
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            url = endpoint.url + "/chat/completions"
            if httpx.post(url, json=body, headers=endpoint.headers).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(_POLL_INTERVAL_S)
    tail = log.read_text(errors="replace")[-2000:]
    raise MachineError(f"{endpoint.url} did not answer within {_START_TIMEOUT_S} s: {tail}")
