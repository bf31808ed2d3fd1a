"""Measured figures compared with their limits."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelsat.errors import QualityError


@dataclass(frozen=True)
class LimitCheck:
    """A measured figure, its limit, and whether the limit is met.

    Attributes:
        what: name of the figure, with its unit.
        measured: value of the figure.
        limit: smallest or largest value allowed.
        is_met: whether the figure keeps the limit.
        num_decimals: decimals of both numbers when printed.
    """

    what: str
    measured: float
    limit: float
    is_met: bool
    num_decimals: int = 1

    def line(self) -> str:
        """Return the check as one line of text."""
        return (
            f"{'met   ' if self.is_met else 'MISSED'} {self.what}: "
            f"{self.measured:.{self.num_decimals}f} (limit {self.limit:.{self.num_decimals}f})"
        )


def at_least(what: str, measured: float, limit: float, num_decimals: int = 1) -> LimitCheck:
    """Check that a figure is not below its limit."""
    return LimitCheck(what, measured, limit, measured >= limit, num_decimals)


def at_most(what: str, measured: float, limit: float, num_decimals: int = 1) -> LimitCheck:
    """Check that a figure is not above its limit."""
    return LimitCheck(what, measured, limit, measured <= limit, num_decimals)


def require(checks: Sequence[LimitCheck]) -> None:
    """Raise an error if a limit is missed.

    Raises:
        QualityError: names every missed limit.
    """
    missed = [check.line() for check in checks if not check.is_met]
    if missed:
        raise QualityError("; ".join(missed))
