"""Run code of an answer where it can do no harm.

A fresh process without network, other processes in sight, files outside its folder, new processes
or programs, and with limits on time, memory and files; :mod:`modelsat.grading.sandboxed` says how.

It protects this machine from code that a model wrote by mistake or was talked into. It does not
protect against faults of the kernel, nor the result against code that fakes it: that searches its
own process, or returns objects that equal everything. Read such answers where every point counts.
"""

import json
import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from math import ceil
from pathlib import Path

from modelsat.errors import MachineError
from modelsat.grading.system_calls import BY_MACHINE

ALLOW_VARIABLE = "MODELSAT_RUN_CODE_WITHOUT_SANDBOX"
_OUT_OF_TIME = 101  # exit code of the process
_WALL_PER_CPU = 3
_CHILD = Path(__file__).with_name("sandboxed.py")
_MAX_REASON_CHARS = 300


@dataclass(frozen=True)
class Limits:
    """What code may use.

    Attributes:
        timeout_s: processor time; by the clock it is three times as long, so that a busy
            machine changes no grade.
        memory_mib: address space.
        file_mib: size of a file.
    """

    timeout_s: float = 10.0
    memory_mib: int = 1024
    file_mib: int = 16


@cache
def check_sandbox() -> bool:
    """Return whether the sandbox works here; tried once, with an empty program, never an answer.

    Returns:
        True if code runs in the sandbox; False if it runs unprotected, as ``ALLOW_VARIABLE``
            allows.

    Raises:
        MachineError: as :func:`run_code`.
    """
    reason, status = _run("", Limits(), sandboxed=True)
    if status == 0:
        return True
    if os.environ.get(ALLOW_VARIABLE) == "1":
        return False
    raise MachineError(
        f"code of answers cannot be run safely here: {reason}; use a machine with user namespaces "
        f"and Landlock (Linux 5.13), or set {ALLOW_VARIABLE}=1 to run it unprotected"
    )


def run_code(code: str, limits: Limits) -> str | None:
    """Run code to its end.

    Args:
        code: Python source; what it prints is dropped.
        limits: what it may use.

    Returns:
        None if the code ran to its end, otherwise what went wrong, in one line.

    Raises:
        MachineError: the kernel cannot give the sandbox, and ``ALLOW_VARIABLE`` is not set to 1.
    """
    return _run(code, limits, sandboxed=check_sandbox())[0]


def _run(code: str, limits: Limits, *, sandboxed: bool) -> tuple[str | None, int]:
    """Return what went wrong, if anything, and the exit code."""
    with tempfile.TemporaryDirectory(prefix="modelsat-code-") as folder:
        return _run_in(folder, code, limits, sandboxed=sandboxed)


def _run_in(folder: str, code: str, limits: Limits, *, sandboxed: bool) -> tuple[str | None, int]:
    token = secrets.token_hex(16)
    result, give = os.pipe()
    calls = BY_MACHINE.get(platform.machine())
    request = {
        "code": code,
        "folder": folder,
        "token": token,
        "result": give,
        "sandboxed": sandboxed,
        "memory_bytes": limits.memory_mib * 2**20,
        "file_bytes": limits.file_mib * 2**20,
        "cpu_s": ceil(limits.timeout_s),
        "calls": None if calls is None else asdict(calls) | {"allowed": sorted(calls.allowed)},
    }
    try:
        # Errors go to a file, whose size is limited; a pipe would fill this process's memory.
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [sys.executable, "-I", str(_CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(give,),
                cwd=folder,
                env={"PATH": os.defpath, "HOME": folder, "LANG": "C.UTF-8"},
                start_new_session=True,
            )
            wall_s = _WALL_PER_CPU * limits.timeout_s
            status = _wait(process, json.dumps(request).encode(), wall_s)
            os.close(give)
            give = -1
            os.set_blocking(result, False)
            try:
                said = os.read(result, 2 * len(token)).decode(errors="replace")
            except BlockingIOError:
                said = ""
            errors.seek(0)
            words = " ".join(errors.read(4096).decode(errors="replace").split())
    finally:
        os.close(result)
        if give >= 0:
            os.close(give)
    if status in (None, _OUT_OF_TIME):
        return f"took more than {limits.timeout_s:g} s", 1
    if status == 0 and said == token:
        return None, 0
    return words[-_MAX_REASON_CHARS:] or f"ended with {status} before its end", status or 1


def _wait(process: "subprocess.Popen[bytes]", request: bytes, timeout_s: float) -> int | None:
    """Return the exit code; None after a timeout. Nothing of the process is left."""
    try:
        process.communicate(request, timeout=timeout_s)
        return process.returncode
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
