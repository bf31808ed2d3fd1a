"""Child processes that must not outlive their parent."""

import subprocess
from collections.abc import Iterable


def end_with_this_process(pids: Iterable[int]) -> subprocess.Popen[bytes] | None:
    """Kill processes as soon as this process ends, even if it is killed.

    vLLM's engine survives a parent that was killed with -9 and keeps its (GPU) memory, which the
    next engine then lacks.

    Args:
        pids: processes to kill.

    Returns:
        A shell that waits for the end of its input; keep a reference to it while the processes
        may run. None without processes.
    """
    watched = [str(pid) for pid in pids]
    if not watched:
        return None
    return subprocess.Popen(
        ["sh", "-c", 'read -r _; kill -9 "$@"', "sh", *watched],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
