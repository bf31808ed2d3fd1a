"""A Ray cluster of its own, started as a platform team starts one: with a token."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from serve_app.throughput import single_machine_environment

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 10
NUM_LOGICAL_CPUS = 16


@dataclass(frozen=True)
class Cluster:
    """A running cluster of this machine.

    Attributes:
        url: its dashboard, where jobs and Serve's files go.
        environment: with the token that it asks for.
        stranger: the environment of somebody without a token.
    """

    url: str
    environment: dict[str, str]
    stranger: dict[str, str]

    def submit(
        self,
        *entrypoint: str,
        options: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `ray job submit` to the job's end, as a user would."""
        words = ("submit", "--working-dir", ".", *options)
        return self.job(*words, "--", *entrypoint, environment=environment)

    def job(
        self, verb: str, *words: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `ray job` with a verb of its own."""
        return subprocess.run(
            ["ray", "job", verb, "--address", self.url, *words],
            cwd=ROOT,
            env=environment or self.environment,
            capture_output=True,
            text=True,
        )

    def status(self, token: str | None) -> int:
        """HTTP status of the job list."""
        try:
            with self._open("/api/jobs/", token) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def has_ended(self, submission_id: str) -> bool:
        """Whether a job is over, however it ended; asked over HTTP, in some milliseconds."""
        token = self.environment["RAY_AUTH_TOKEN"]
        with self._open(f"/api/jobs/{submission_id}", token) as response:
            return json.load(response)["status"] in ("STOPPED", "SUCCEEDED", "FAILED")

    def _open(self, path: str, token: str | None) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(self.url + path, headers=headers)
        return urllib.request.urlopen(request, timeout=10)


@contextmanager
def running_cluster(home: Path) -> Iterator[Cluster]:
    """`ray start --head` with token authentication, on ports and a folder of its own.

    Args:
        home: home directory without a token in ``.ray``.
    """
    # Not below pytest's folder: paths of Unix sockets may not pass 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    token = secrets.token_hex(16)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    inherited |= single_machine_environment()
    stranger = {**inherited, "PATH": path, "HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {**stranger, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    gcs, dashboard, agent, client = _free_ports(4)
    head = subprocess.Popen(
        [
            *("ray", "start", "--head", "--block", "--disable-usage-stats"),
            *("--node-ip-address=127.0.0.1", f"--port={gcs}", f"--num-cpus={NUM_LOGICAL_CPUS}"),
            *(f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"),
            *(f"--ray-client-server-port={client}", f"--temp-dir={folder}"),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        running = Cluster(f"http://127.0.0.1:{dashboard}", environment, stranger)
        _wait_until_it_answers(running, token, head)
        yield running
    finally:
        _stop(head, folder)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [server.getsockname()[1] for server in servers]


def _wait_until_it_answers(cluster: Cluster, token: str, head: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if head.poll() is not None:
            assert head.stdout is not None
            pytest.fail(f"ray start ended with {head.returncode}: {head.stdout.read().decode()}")
        with contextlib.suppress(urllib.error.URLError, OSError):
            if cluster.status(token) == 200:
                return
        time.sleep(0.2)
    pytest.fail(f"no answer from {cluster.url} in {START_TIMEOUT_S} s")


def _stop(head: subprocess.Popen[bytes], folder: Path) -> None:
    """Stop the head's processes: its children, and those that name its folder."""
    own = psutil.Process(head.pid).children(recursive=True) if head.poll() is None else []
    named = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or ())
    ]
    for stop in (psutil.Process.terminate, psutil.Process.kill):
        alive = psutil.wait_procs({*own, *named}, timeout=0)[1]
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                stop(process)
        psutil.wait_procs(alive, timeout=STOP_TIMEOUT_S)
    head.kill()
    head.communicate()
    shutil.rmtree(folder, ignore_errors=True)
