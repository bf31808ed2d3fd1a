"""Compares mathematical expressions with math-verify, in a process of its own.

What a model says is untrusted: ``9**9**9`` would keep a computer algebra system busy for ever. So
the comparison runs in a child with limits on time and memory, which is started when it is first
needed, answers one line after another, and is replaced when it exceeds a limit.
"""

import atexit
import json
import resource
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import psutil

CPU_LIMIT_S = 3.0  # of one comparison: a busy machine must not change a grade
_WALL_LIMIT_S = 120.0  # of one comparison, and of the start, whose imports take 2 s when idle
_LOOK_EVERY_S = 0.1
_MAX_MEMORY_BYTES = 2 * 1024**3
_MAX_CHARS = 1_000  # of an expression; a longer text is not a result


class ComparisonTimeout(Exception):
    """Two expressions took too long, or too much memory, to compare."""


class SymbolicComparer:
    """Says whether two expressions are equal; safe to use from several threads."""

    def __init__(self, cpu_limit_s: float = CPU_LIMIT_S) -> None:
        """Start nothing yet.

        Args:
            cpu_limit_s: processor time that one comparison may take.
        """
        self._cpu_limit_s = cpu_limit_s
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    def are_equal(self, gold: str, given: str) -> bool | None:
        r"""Compare two expressions in LaTeX or plain notation.

        Returns:
            None if ``given`` is not an expression, or is too long for one.

        Raises:
            ComparisonTimeout: it took too long.
            ValueError: ``gold`` is not an expression.
        """
        if len(gold) > _MAX_CHARS:
            raise ValueError(f"it is longer than {_MAX_CHARS} characters")
        if len(given) > _MAX_CHARS:
            return None
        with self._lock:
            answer = self._ask(json.dumps([gold, given]))
        if "error" in answer:
            raise ValueError(answer["error"])
        is_equal: bool | None = answer["equal"]
        return is_equal

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _ask(self, line: str) -> dict[str, Any]:
        if self._child is None:
            self._child = _start_child()
            self._answer(_WALL_LIMIT_S)
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(line + "\n")
            self._child.stdin.flush()
        except OSError:
            self.close()
            raise ComparisonTimeout("the process that compares has ended") from None
        found: dict[str, Any] = json.loads(self._answer(self._cpu_limit_s))
        return found

    def _answer(self, cpu_limit_s: float) -> str:
        """Return the child's next line; end it if none comes in time."""
        assert self._child is not None
        assert self._child.stdout is not None
        process = psutil.Process(self._child.pid)
        started_s, before_s = time.monotonic(), _cpu_s(process)
        line = ""
        while not line:
            ready, _, _ = select.select([self._child.stdout], [], [], _LOOK_EVERY_S)
            if ready:
                line = self._child.stdout.readline()
            is_over = time.monotonic() - started_s > _WALL_LIMIT_S
            if not line and (ready or is_over or _cpu_s(process) - before_s > cpu_limit_s):
                self.close()
                raise ComparisonTimeout(f"comparing took more than {cpu_limit_s:g} s or 2 GiB")
        return line


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.Error):  # it has ended, which the pipe shows
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _start_child() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "modelsat.grading.symbolic"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is the parent's to handle
    )


def _serve() -> None:
    """Say that it is ready, then answer lines until the parent closes the pipe."""
    from math_verify import parse, verify

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))

    def expression(text: str) -> list[Any]:
        boxed = "\\boxed{" + text + "}"
        found: list[Any] = parse(boxed, parsing_timeout=None, fallback_mode="no_fallback")
        return found

    for line in sys.stdin:
        gold, given = (expression(text) for text in json.loads(line))
        answer: dict[str, object] = {"equal": None}
        if not gold:
            answer = {"error": "it is not a mathematical expression"}
        elif given:
            options = {"allow_set_relation_comp": True, "timeout_seconds": None}
            answer = {"equal": verify(gold, given, **options)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
