"""A child process with CPU and memory limits, for work that an answer could prolong.

What a model says is untrusted: ``9**9**9`` would keep a computer algebra system busy, and a pattern
in a JSON Schema may backtrack without end. So a child with limits on processor time and memory
compares expressions (with math-verify) and validates documents (with jsonschema). It is started
when it is first needed, answers one line after another, and is replaced when it exceeds a limit.
"""

import atexit
import json
import re
import resource
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import psutil

CPU_LIMIT_S = 3.0  # of one piece of work: a busy machine must not change a grade
_WALL_LIMIT_S = 120.0  # of one piece, and of the start, whose imports take 2 s when idle
_LOOK_EVERY_S = 0.1
_MAX_MEMORY_BYTES = 2 * 1024**3
_JOINING = re.compile(r"\b(?:or|and)\b")
_MAX_CHARS = 1_000  # of an expression; a longer text is not a result


class LimitExceeded(Exception):
    """The work took too long, or too much memory."""


class BoundedWorker:
    """Compares expressions and validates documents; safe to use from several threads."""

    def __init__(self, cpu_limit_s: float = CPU_LIMIT_S) -> None:
        """Start nothing yet.

        Args:
            cpu_limit_s: processor time that one piece of work may take.
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
            LimitExceeded: it took too long.
            ValueError: ``gold`` is not an expression.
        """
        if len(gold) > _MAX_CHARS:
            raise ValueError(f"it is longer than {_MAX_CHARS} characters")
        if len(given) > _MAX_CHARS:
            return None
        with self._lock:
            answer = self._ask({"gold": gold, "given": given})
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

    def schema_error(self, schema: Any, document: Any) -> str | None:
        """Return the first error of a document against a JSON Schema; None if it fits.

        Raises:
            LimitExceeded: it took too long.
        """
        with self._lock:
            error: str | None = self._ask({"schema": schema, "document": document})["error"]
            return error

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._child is None:
            self._child = _start_child()
            self._answer(_WALL_LIMIT_S)
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        except OSError:
            self.close()
            raise LimitExceeded("the process that does the work has ended") from None
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
                raise LimitExceeded(f"it took more than {cpu_limit_s:g} s or 2 GiB")
        return line


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.Error):  # it has ended, which the pipe shows
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _start_child() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "modelsat.grading.bounded_work"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is the parent's to handle
    )


def _serve() -> None:
    """Say that it is ready, then answer lines until the parent closes the pipe."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    for line in sys.stdin:
        request = json.loads(line)
        answer = _compare(**request) if "gold" in request else _validate(**request)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _compare(gold: str, given: str) -> dict[str, object]:
    from math_verify import parse, verify

    def expression(text: str) -> list[Any]:
        boxed = "\\boxed{" + text + "}"
        found: list[Any] = parse(boxed, parsing_timeout=None, fallback_mode="no_fallback")
        return [_meant(part, text) for part in found]

    left, right = expression(gold), expression(given)
    if not left:
        return {"error": "it is not a mathematical expression"}
    options = {"allow_set_relation_comp": True, "timeout_seconds": None}
    return {"equal": verify(left, right, **options) if right else None}


def _meant(parsed: Any, text: str) -> Any:
    """Return "x < 1 or x > 2" as a set of numbers, and i as the imaginary unit."""
    import sympy

    symbols = [*map(str, getattr(parsed, "free_symbols", ()))]
    if symbols == ["i"] and isinstance(parsed, sympy.Expr):
        return parsed.subs(dict.fromkeys(parsed.free_symbols, sympy.I))
    joined = {"or": sympy.Or, "and": sympy.And}.get(" ".join({*_JOINING.findall(text)}))
    if not joined or len(symbols) != 1 or not isinstance(parsed, sympy.FiniteSet):
        return parsed
    is_range = all(getattr(part, "rel_op", "") in ("<", ">", "<=", ">=") for part in parsed)
    return joined(*parsed).as_set() if is_range else parsed


def _validate(schema: Any, document: Any) -> dict[str, object]:
    from modelsat.grading.schema import first_error

    return {"error": first_error(schema, document)}


WORKER = BoundedWorker()  # one for all graders of a process


if __name__ == "__main__":
    _serve()
