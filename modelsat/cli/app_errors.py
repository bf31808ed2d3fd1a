"""How a command line ends when the user, the machine or a key press stops it."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from modelsat.errors import ModelSatError

INTERRUPTED_EXIT_CODE = 130  # shells' 128 + SIGINT


@contextmanager
def report_errors() -> Iterator[None]:
    """End a command with one readable line and an exit code instead of a traceback.

    Works as ``with report_errors():`` and as the decorator ``@report_errors()``, which keeps
    the signature that typer reads. Put it around a command's whole body. Any other exception
    is a defect of ours and keeps its traceback.

    Raises:
        SystemExit: with the error's ``exit_code`` after a ModelSatError, printed to stderr as
            ``error: message``; with 130 after Ctrl-C.
    """
    try:
        yield
    except ModelSatError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; run the same command again to continue\n")
        raise SystemExit(INTERRUPTED_EXIT_CODE) from None


def interrupt_on_sigterm() -> None:
    """Let SIGTERM (``ray job stop``) unwind a command as Ctrl-C does.

    ``ray.init`` puts a handler of its own in place, which exits: call this again after it. Signals
    reach a process's main thread alone; called in another one, this changes nothing.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
