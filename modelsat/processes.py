"""Processes that must not outlive the one that started them."""

import subprocess
from collections.abc import Iterable


def end_with_this_process(pids: Iterable[int]) -> subprocess.Popen[bytes] | None:
    """Kill processes as soon as this one is gone, however it went.

    vLLM's engine outlives a parent that was killed with -9 and keeps its memory, a GPU's too:
    whatever starts next would find no room.

    Args:
        pids: processes to kill.

    Returns:
        A shell that waits for the end of its input, to be held as long as they may live; None
        without processes.
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
