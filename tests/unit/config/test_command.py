"""Running the public commands in a process of their own."""

import signal
import socket
import subprocess
import sys

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


def test_a_command_that_ignores_interrupts_is_stopped_too(monkeypatch):
    script = "trap '' INT; trap 'exit 3' TERM; echo started; while :; do sleep 0.1; done"
    shell(script, monkeypatch)
    with running_command(["serve"]) as process:
        assert next(output_lines(process)) == "started"
    assert process.returncode == 3


COMMAND_WITH_A_CHILD = """
from modelsat import command
from modelsat.cli import app_errors, main
command._COMMAND = ("bash", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")

@app_errors.report_errors()
def parent():
    with command.running_command([]) as process:
        print("started", flush=True)
        process.wait()

main.app = parent
main.main()
"""


@pytest.mark.parametrize("interrupts", [signal.SIG_IGN, signal.SIG_DFL])
def test_sigterm_ends_a_command_and_its_child(interrupts):
    """As started by a shell in the background, which ignores interrupts, and in the foreground."""
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND_WITH_A_CHILD],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, interrupts),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.terminate()
        _, errors = process.communicate(timeout=50)
    assert process.returncode == 130
    assert errors == "interrupted; run the same command again to continue\n"


def test_a_port_in_use_is_refused_before_the_work():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(MachineError, match=f"port {port} is in use"):
            require_free_port(port)
    require_free_port(port)
