"""A figure that every round of a benchmark gives, and the processor that gave it."""

import platform
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median


@dataclass
class Spread:
    """The same figure from every round."""

    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Append a round's value."""
        self.values.append(value)

    @property
    def median(self) -> float:
        """Of the rounds."""
        return median(self.values)

    @property
    def low(self) -> float:
        """Smallest."""
        return min(self.values)

    @property
    def high(self) -> float:
        """Largest."""
        return max(self.values)


def spread_text(values: Spread, num_decimals: int = 1) -> str:
    """Median, and smallest to largest, as a filter of a page."""
    low, middle, high = (f"{v:.{num_decimals}f}" for v in (values.low, values.median, values.high))
    return f"{middle} ({low} to {high})"


def cpu_model() -> str:
    """As Linux names it; elsewhere the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
