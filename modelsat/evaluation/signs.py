"""The result of a check for a sign of failure."""

from dataclasses import dataclass

_VERDICTS = {True: "FAULT", False: "fine", None: "not measured"}


@dataclass(frozen=True)
class Sign:
    """A sign of failure.

    Attributes:
        name: name of the sign.
        figure: measured value; None if it could not be measured.
        limit: value at which it becomes a fault; None if it depends on the data and nothing could
            be measured.
        is_fault: whether the limit is violated; None if nothing could be measured.
        finding: the result in words.
        likely_cause: what to check if it is a fault.
    """

    name: str
    figure: float | None
    limit: float | None
    is_fault: bool | None
    finding: str
    likely_cause: str


def verdict(is_fault: bool | None) -> str:
    """Return the verdict on a sign in one or two words."""
    return _VERDICTS[is_fault]
