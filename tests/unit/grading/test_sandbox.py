"""Code of answers does no harm, whatever it tries, and the process that runs it goes on."""

import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from modelsat.errors import MachineError
from modelsat.grading import sandbox
from modelsat.grading.graders import grade_answer
from modelsat.grading.sandbox import Limits, run_code

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")

CALL = "import ctypes\nassert ctypes.CDLL(None).syscall"  # by number, on x86-64
LIMITS = Limits(timeout_s=5, memory_mib=512, file_mib=4)
ENDLESS = Limits(timeout_s=1)


@pytest.fixture(autouse=True)
def kernel() -> None:
    """Skip where the kernel cannot give the sandbox; there code is refused, as tested below."""
    try:
        sandbox.check_sandbox()
    except MachineError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("assert 1 == 2, 'no'", "AssertionError: no"),
        ("import os\nwhile True: os.fork()", "PermissionError"),
        ("import subprocess\nsubprocess.run(['true'])", "PermissionError"),
        ("import os\nos.execv('/bin/true', ['true'])", "PermissionError"),
        ("x = bytearray(8 * 2**30)", "MemoryError"),
        ("x = []\nwhile True: x.append('x' * 10**6)", "MemoryError"),
        (f"import os\nos.listdir({str(Path.home())!r})", "PermissionError"),
        ("open('/etc/passwd').read()", "PermissionError"),
        ("open('/proc/1/environ').read()", "PermissionError"),
        ("open('../outside', 'w')", "PermissionError"),
        ("import os\nos.kill(os.getppid(), 9)", "PermissionError"),
        ("import os\nos.kill(-1, 9)", "PermissionError"),
        ("f = open('f', 'wb')\nwhile True: f.write(b'x' * 2**20)", "File too large"),
        ("for i in range(99): open(str(i), 'wb').write(b'x' * 2**20)", "No space left"),
        ("for i in range(10**6): open(str(i), 'w')", "No space left"),
        ("import os\nos._exit(0)", "ended with 0 before its end"),
        ("import os\nos._exit(100)", "ended with 100 before its end"),
        ("import os\nos.chmod('/tmp', 0o777)", "PermissionError"),
        ("import os\nos.utime('/tmp')", "PermissionError"),
        ("import os\nos.setxattr('/tmp', 'user.x', b'1')", "PermissionError"),
        ("import os\nos.setsid()", "PermissionError"),
        ("import os\nos.memfd_create('x')", "PermissionError"),
        (f"{CALL}(425, 8, 0) != -1", "AssertionError"),  # io_uring_setup
        (f"{CALL}(29, 0, 1 << 20, 0o1600) != -1", "AssertionError"),  # shmget
        (f"{CALL}(254) != -1", "AssertionError"),  # inotify_add_watch
        (f"{CALL}(248, b'user', b'k', b'v', 1, -3) != -1", "AssertionError"),  # add_key
        (f"{CALL}(157, 1, 0) != -1", "AssertionError"),  # prctl
        ("import sys\nsys.exit(0)", "SystemExit"),
        ("def f(): f()\nf()", "RecursionError"),
        (
            "import threading, time\n"
            "while True: threading.Thread(target=time.sleep, args=(60,)).start()",
            "can't start new thread",
        ),
        ("import os\nos.symlink('/etc', 'link')\nopen('link/passwd').read()", "PermissionError"),
    ],
)
def test_hostile_code_is_contained_and_the_next_code_runs(code: str, reason: str) -> None:
    said = run_code(code, LIMITS)
    assert said is not None
    assert reason in said
    assert "\n" not in said
    assert run_code("x = 1", LIMITS) is None


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time\ntime.sleep(99)",
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
        "import sys\nwhile True: sys.stdout.write('x' * 10**6)",
    ],
)
def test_endless_code_is_ended_with_all_its_processes(code: str) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    assert run_code(code, ENDLESS) == "took more than 1 s"
    deadline = time.monotonic() + 10
    while {process.pid for process in psutil.Process().children(recursive=True)} - before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_code_cannot_leave_its_session_and_hold_up_the_grader() -> None:
    code = (
        "import ctypes, os, time\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\n"
        "try: os.setsid()\nexcept OSError: pass\nos.closerange(0, 64)\ntime.sleep(99)"
    )
    assert run_code(code, ENDLESS) == "took more than 1 s"


def test_event_loops_and_threads_work() -> None:
    code = (
        "import asyncio, threading, tempfile, json\n"
        "async def f():\n    await asyncio.sleep(0)\n"
        "    return await asyncio.to_thread(len, 'ab')\n"
        "assert asyncio.run(f()) == 2\n"
        "with tempfile.TemporaryDirectory(dir='.') as d: open(d + '/f', 'w').write('x')"
    )
    assert run_code(code, LIMITS) is None


def test_code_reaches_no_network(loopback: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=2)"
        assert "PermissionError" in str(run_code(code, LIMITS))
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_code_has_a_folder_of_its_own_and_sees_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_KEY", "sk-secret")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "import os\nassert 'SECRET_KEY' not in os.environ\n"
        "open('f', 'w').write('x')\nassert open('f').read() == 'x'\nassert os.listdir('.') == ['f']"
    )
    assert run_code(code, LIMITS) is None
    assert list(tmp_path.iterdir()) == []


def test_without_a_sandbox_code_runs_only_if_allowed_in_so_many_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = tmp_path / "child.py"
    child.write_text(
        "import json, os, sys\nrequest = json.load(sys.stdin)\n"
        "if request['sandboxed']: sys.stderr.write('no user namespaces'); sys.exit(100)\n"
        "os.write(request['result'], request['token'].encode())\n"
    )
    monkeypatch.setattr(sandbox, "_CHILD", child)
    sandbox.check_sandbox.cache_clear()
    question = {"prompt": "", "answer": "assert True", "grader": "code"}
    with pytest.raises(MachineError, match=r"no user namespaces.*=1 to run it unprotected"):
        grade_answer(question, "x = 1")
    monkeypatch.setenv(sandbox.ALLOW_VARIABLE, "1")
    assert grade_answer(question, "x = 1").score == 1
