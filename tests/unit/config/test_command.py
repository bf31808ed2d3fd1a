"""Running the public commands in a process of their own."""

import os
import signal
import socket

import pytest

from modelsat import command
from modelsat.command import CommandError, output_lines, run_command, running_command
from modelsat.demo.chat import require_free_port
from modelsat.errors import MachineError


def test_output_is_passed_on_and_a_failure_carries_reason_and_code(tmp_path):
    lines = []
    run_command(["--version"], lines.append)
    assert lines == [line for line in lines if line.startswith("modelsat ")]
    with pytest.raises(CommandError, match=r"`modelsat zoo` failed .*nowhere\.yaml") as failed:
        run_command(["zoo", "validate", str(tmp_path / "nowhere.yaml")], lines.append)
    assert failed.value.exit_code == 4


def shell(script, monkeypatch):
    monkeypatch.setattr(command, "_COMMAND", ("bash", "-c", script, "bash"))


def test_workers_show_their_progress_once_and_nothing_else(monkeypatch):
    shell(
        "printf '\\033[36m(RayTrainWorker pid=7)\\033[0m stage all, epoch 1: loss 2\\n'; "
        "printf '(RayTrainWorker pid=8) stage all, epoch 1: loss 2\\n'; "
        "printf '(RayTrainWorker pid=7) Loading\\rLoaded\\n'; printf 'done\\n'",
        monkeypatch,
    )
    lines = []
    run_command(["train"], lines.append)
    assert lines == ["stage all, epoch 1: loss 2", "done"]


def test_an_interrupted_command_interrupts(monkeypatch):
    shell("exit 130", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run_command(["train"], lambda line: None)


def test_stopping_sends_an_interrupt(monkeypatch):
    shell("trap 'exit 3' INT; echo started; while :; do sleep 0.1; done", monkeypatch)
    with running_command(["serve"]) as process:
        assert next(output_lines(process)) == "started"
    assert process.returncode == 3


def test_sigterm_stops_the_command_too(monkeypatch):
    shell("trap 'exit 3' INT; echo started; while :; do sleep 0.1; done", monkeypatch)
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # without ours the test must fail, not die
    try:
        with pytest.raises(SystemExit) as left, running_command(["train"]) as process:
            next(output_lines(process))
            os.kill(os.getpid(), signal.SIGTERM)
        assert left.value.code == 143
        assert process.returncode == 3
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_port_in_use_is_refused_before_the_work():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(MachineError, match=f"port {port} is in use"):
            require_free_port(port)
    require_free_port(port)
