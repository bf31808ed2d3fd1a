"""Error reporting and exit codes of commands."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from modelsat.errors import ModelSatError

INTERRUPTED_EXIT_CODE = 130  # shells' 128 + SIGINT


@contextmanager
def report_errors() -> Iterator[None]:
    """Print one readable line and set the exit code instead of a traceback.

    Use it as ``with report_errors():`` or as the decorator ``@report_errors()``, which preserves
    the signature for typer, around a command's whole body. Any other exception is a bug and keeps
    its traceback.

    Raises:
        SystemExit: with the error's ``exit_code`` after a ModelSatError, which is printed to
            stderr as ``error: message``; with 130 after Ctrl-C.
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
    """Handle SIGTERM (``ray job stop``) like Ctrl-C.

    ``ray.init`` installs its own handler, which exits: call this again afterwards. Signals are
    delivered only to the main thread; in other threads this does nothing.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
