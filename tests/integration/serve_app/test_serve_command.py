"""The command line: refusals before anything starts, and Ctrl-C while everything starts."""

import os
import signal
import socket
from pathlib import Path

import pytest
import yaml

from tests.support.serve_app.served import Artifacts, start_serve, write_config
from tests.support.serve_app.tiny_artifacts import write_card_table

pytestmark = pytest.mark.ray


def run(config: Path, *options: str) -> tuple[int, str]:
    process = start_serve(config, *options)
    _output, errors = process.communicate(timeout=120)
    return process.returncode, errors


def test_a_port_in_use_is_one_line_before_anything_starts(artifacts: Artifacts, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        config = write_config(tmp_path / "serve.yaml", artifacts.config(port=port))
        code, errors = run(config)
    assert code == 8
    assert errors.startswith(f"error: port {port} of 127.0.0.1 is in use")
    assert errors.count("\n") == 1


def test_cards_of_another_task_set_are_refused_before_anything_starts(
    artifacts: Artifacts, tmp_path: Path
):
    names = [entry["name"] for entry in yaml.safe_load(artifacts.zoo.read_text())["candidates"]]
    cards = write_card_table(tmp_path / "cards.parquet", names, tasks_hash="another")
    code, errors = run(write_config(tmp_path / "serve.yaml", artifacts.config(cards=cards)))
    assert code == 3
    assert "task set another" in errors
    assert errors.count("\n") == 1


def test_ctrl_c_while_everything_starts_stops_everything(artifacts: Artifacts, tmp_path: Path):
    process = start_serve(write_config(tmp_path / "serve.yaml", artifacts.config()))
    try:
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("starting 3 candidates") for line in lines)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends Ctrl-C: to the whole group
        _output, errors = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted; run the same command again to continue"
    assert "Traceback" not in errors
