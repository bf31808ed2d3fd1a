"""Send requests that fail every other time, and measure a process's memory."""

from typing import Any

import psutil

from tests.support.serve_app.reliability import chat_body
from tests.support.serve_app.reliability_load import distinct

NAMES = ("alder", "birch", "cedar")
MAX_GROWTH_BYTES = 64 * 2**20
FAILING, REFUSING, WORKING = NAMES


def half_failing(number: int) -> dict[str, Any]:
    """Of four requests, two are answered, one finds its candidate failing, one refusing."""
    routed = {**distinct(number), "models": [FAILING, WORKING]}
    return (
        routed,
        {**routed, "stream": True},
        chat_body(f"What is {number}?", model=FAILING),
        chat_body(f"What is {number}?", model=REFUSING),
    )[number % 4]


def footprint(watched: list[psutil.Process]) -> tuple[int, int]:
    """Resident bytes and open files."""
    return sum(p.memory_info().rss for p in watched), sum(p.num_fds() for p in watched)
