"""Run the public commands like a user: in a separate process."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from modelsat.errors import ModelSatError
from modelsat.progress import Progress, clear_bar

_COMMAND = (sys.executable, "-m", "modelsat.cli")
# Ray prefixes the output of workers with their process; only these worker lines are shown.
_WORKER_PREFIX = re.compile(r"^(\x1b\[\d+m)?\([^)]*pid=\d+[^)]*\)(\x1b\[0m)? ?")
_WORKER_PROGRESS = ("stage ", "continuing ", "router written ")
_STOP_TIMEOUT_S = 60
_NUM_ERROR_LINES = 30  # last lines shown if a command fails


class CommandError(ModelSatError):
    """A public command failed; the message has its last lines."""


def run_command(arguments: Sequence[str], echo: Callable[[str], None]) -> None:
    """Run ``modelsat`` with arguments and forward its progress.

    Raises:
        CommandError: the command failed; has its exit code.
        KeyboardInterrupt: Ctrl-C, after the command has ended.
    """
    last_lines: list[str] = []
    shown: set[str] = set()
    # Off a terminal the command's own lines of progress are enough.
    bar = Progress(f"modelsat {arguments[0]}") if sys.stderr.isatty() else nullcontext()
    with bar, running_command(arguments) as process:
        for raw in output_lines(process):
            from_worker = _WORKER_PREFIX.match(raw)
            # Keep only the last state of a line that was overwritten.
            line = _WORKER_PREFIX.sub("", raw).rsplit("\r", 1)[-1]
            last_lines = [*last_lines[1 - _NUM_ERROR_LINES :], line]
            is_progress = not from_worker or line.startswith(_WORKER_PROGRESS)
            # Ray may print a worker's line twice.
            if line and is_progress and not (from_worker and line in shown):
                clear_bar()
                echo(line)
                shown.add(line)
        code = process.wait()
    if code == 128 + signal.SIGINT:
        raise KeyboardInterrupt
    if code:
        errors = [line for line in last_lines if line.startswith("error: ")] or last_lines
        raise _failed(arguments[0], code, errors)


@contextmanager
def running_command(arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``modelsat`` with arguments during a ``with`` block, then end it by SIGTERM.

    SIGINT would not work: a command ignores it if this process was started in the background.
    The caller must read the command's output with :func:`output_lines`.
    """
    process = subprocess.Popen(
        [*_COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "TQDM_DISABLE": "1"},
    )
    try:
        yield process
    finally:
        _stop(process)
        if process.stdout:
            process.stdout.close()


def output_lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield the lines of a command's output as they arrive."""
    for raw in process.stdout or ():
        yield raw.decode(errors="replace").rstrip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _failed(command: str, code: int, lines: Sequence[str]) -> CommandError:
    reason = " / ".join(line.removeprefix("error: ") for line in lines)
    error = CommandError(f"`modelsat {command}` failed with exit code {code}: {reason}")
    error.exit_code = code
    return error
