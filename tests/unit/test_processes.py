import subprocess
import sys

import psutil
import pytest

from modelsat.processes import end_with_this_process

PARENT = """
import subprocess, sys
from modelsat.processes import end_with_this_process
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
held = end_with_this_process([child.pid])
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["kill", "terminate", "leaves"])
def test_child_process_ends_with_its_parent(how: str):
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        if how != "leaves":
            getattr(parent, how)()
            parent.wait(timeout=30)
        # Leaving the block closes its input, so it exits.
    child.wait(timeout=30)


def test_starts_nothing_without_processes():
    assert end_with_this_process([]) is None
