"""A figure measured once in every round of a benchmark."""

from dataclasses import dataclass, field
from statistics import median


@dataclass
class Spread:
    """The values of one figure, one per round.

    Attributes:
        values: one value per round, in order.
    """

    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Append the value of a round."""
        self.values.append(value)

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return median(self.values)

    @property
    def low(self) -> float:
        """Smallest value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """Largest value."""
        return max(self.values)


def spread_text(values: Spread, num_decimals: int = 1) -> str:
    """Format a spread as ``median (smallest to largest)``; a filter of templates."""
    low, middle, high = (f"{v:.{num_decimals}f}" for v in (values.low, values.median, values.high))
    return f"{middle} ({low} to {high})"
