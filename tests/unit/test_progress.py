"""How far work has come: a bar on a terminal, lines elsewhere."""

import io
import threading

import pytest

from modelsat.progress import Progress


class Stream(io.StringIO):
    """Tells when something was written to it."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal
        self.written = threading.Event()

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


def text(*, terminal: bool, total: int | None = 300, elapsed_s: float = 60.0) -> str:
    progress = Progress("train", total, "steps", stream=Stream(terminal=terminal))
    progress.advance(120)
    return progress.text(elapsed_s)


def test_a_line_has_units_rate_and_time_left():
    assert text(terminal=False) == ("train: 120/300 steps,  2.00steps/s, 01:00 so far, 01:30 left")


def test_a_bar_has_them_too():
    assert text(terminal=True).startswith("train:  40%|####")
    assert text(terminal=True).endswith("| 120/300 steps,  2.00steps/s, 01:30 left")


@pytest.mark.parametrize("terminal", [True, False])
def test_without_a_total_the_time_so_far_is_shown(terminal):
    assert text(terminal=terminal, total=None) == "train: 01:00 so far"


def test_lines_come_while_the_block_runs_even_if_nothing_advances():
    stream = Stream(terminal=False)
    with Progress("wait", 3, "rows", count=lambda: 2, stream=stream, interval_s=1e-3):
        assert stream.written.wait(timeout=30)
    assert stream.getvalue().splitlines()[0].startswith("wait: 2/3 rows")


def test_a_bar_is_wiped_at_the_end():
    stream = Stream(terminal=True)
    with Progress("wait", 3, "rows", stream=stream, interval_s=1e-3):
        assert stream.written.wait(timeout=30)
    assert stream.getvalue().endswith("\r\x1b[K")


def test_work_that_ends_at_once_writes_no_line():
    stream = Stream(terminal=False)
    with Progress("wait", 3, "rows", stream=stream):
        pass
    assert stream.getvalue() == ""
