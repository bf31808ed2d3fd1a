"""Progress of long work: a bar on a terminal, otherwise a line every half minute.

Progress goes to stderr, because stdout belongs to results.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TextIO

from tqdm import tqdm

_BAR_INTERVAL_S = 0.5
LINE_INTERVAL_S = 30.0
_CLEAR = "\r\x1b[K"
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}, {rate_fmt}, {remaining} left"
_LINE = "{desc}: {n_fmt}/{total_fmt} {unit}, {rate_fmt}, {elapsed} so far, {remaining} left"
_UNKNOWN_TOTAL = "{desc}: {elapsed} so far"


def clear_bar() -> None:
    """Wipe a bar from a terminal, so that another line can take its place; the bar comes back."""
    if sys.stderr.isatty():
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()


class Progress(AbstractContextManager["Progress"]):
    """Shows how far a block of work has come, while the block runs.

    Work that ends within the first interval shows nothing but, on a terminal, a bar that is gone at
    the end. A thread shows it, so that work that waits for something else is not silent either.

    Example:
        ``with Progress("evaluate", total=len(rows), unit="rows") as progress: progress.advance()``

    Args:
        label: what is done.
        total: units of work; None if not known, which shows the time so far.
        unit: what is counted, in the plural.
        count: returns the units done, where others count them; None counts :meth:`advance`.
        stream: where to write; None writes to stderr.
        interval_s: seconds between two bars or lines; None is half a second for a bar, half a
            minute for lines.
    """

    def __init__(
        self,
        label: str,
        total: int | None = None,
        unit: str = "steps",
        *,
        count: Callable[[], int] | None = None,
        stream: TextIO | None = None,
        interval_s: float | None = None,
    ) -> None:
        """Describe the work; entering the block starts the clock."""
        self._label, self._total, self._unit = label, total, unit
        self._done = 0
        self._count = count or (lambda: self._done)
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        default_s = _BAR_INTERVAL_S if self._is_terminal else LINE_INTERVAL_S
        self._interval_s = default_s if interval_s is None else interval_s
        self._started_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show_until_ended, daemon=True)

    def advance(self, units: int = 1) -> None:
        """Count units of work as done."""
        self._done += units

    def text(self, elapsed_s: float) -> str:
        """Return the bar or line as it is after some seconds."""
        known = _BAR if self._is_terminal else _LINE
        text = tqdm.format_meter(
            self._count(),
            self._total,
            elapsed_s,
            ncols=80,
            prefix=self._label,
            ascii=True,
            unit=self._unit,
            bar_format=_UNKNOWN_TOTAL if self._total is None else known,
        )
        return str(text)

    def __enter__(self) -> "Progress":
        """Start the clock."""
        self._started_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop showing; a bar is wiped."""
        self._ended.set()
        self._thread.join()
        if self._is_terminal:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def _show_until_ended(self) -> None:
        while not self._ended.wait(self._interval_s):
            text = self.text(time.monotonic() - self._started_s)
            self._stream.write(f"{_CLEAR}{text}" if self._is_terminal else f"{text}\n")
            self._stream.flush()
