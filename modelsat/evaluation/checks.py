"""Limits on measured figures, and what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelsat.errors import QualityError


@dataclass(frozen=True)
class Check:
    """One limit and what was measured.

    Attributes:
        what: the figure, with its unit.
        measured: its value.
        limit: what it is held against.
        is_met: whether it holds.
        num_decimals: of both numbers, for people.
    """

    what: str
    measured: float
    limit: float
    is_met: bool
    num_decimals: int = 1

    def line(self) -> str:
        """The check as one line."""
        return (
            f"{'met   ' if self.is_met else 'MISSED'} {self.what}: "
            f"{self.measured:.{self.num_decimals}f} (limit {self.limit:.{self.num_decimals}f})"
        )


def at_least(what: str, measured: float, limit: float, num_decimals: int = 1) -> Check:
    """A figure that may not fall below its limit."""
    return Check(what, measured, limit, measured >= limit, num_decimals)


def at_most(what: str, measured: float, limit: float, num_decimals: int = 1) -> Check:
    """A figure that may not rise above its limit."""
    return Check(what, measured, limit, measured <= limit, num_decimals)


def require(checks: Sequence[Check]) -> None:
    """Fail loudly if a limit is missed.

    Raises:
        QualityError: names every missed limit.
    """
    missed = [check.line() for check in checks if not check.is_met]
    if missed:
        raise QualityError("; ".join(missed))
