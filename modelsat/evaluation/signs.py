"""One thing that was looked at to see whether a router works."""

from dataclasses import dataclass

_VERDICTS = {True: "FAULT", False: "fine", None: "not measured"}


@dataclass(frozen=True)
class Sign:
    """One sign of failure.

    Attributes:
        name: what was looked at.
        figure: what was measured; None where it could not be.
        limit: at which figure it becomes a fault; None where nothing could be measured and the
            limit depends on the data.
        is_fault: whether it is one; None where nothing could be measured.
        finding: the figure in words.
        likely_cause: what to look at when it is a fault.
    """

    name: str
    figure: float | None
    limit: float | None
    is_fault: bool | None
    finding: str
    likely_cause: str


def verdict(is_fault: bool | None) -> str:
    """The verdict on a sign as one or two words."""
    return _VERDICTS[is_fault]
