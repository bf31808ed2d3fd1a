"""Which candidates may be chosen at all, before scores are compared. Torch-free.

Shapes: M candidates.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from modelsat.routing.constraints import Constraints, has_wildcard

Mask: TypeAlias = npt.NDArray[np.bool_]
Doubles: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Exclusion:
    """Why a candidate may not be chosen.

    Attributes:
        code: machine-readable reason.
        description: the reason in words, to follow "3 models".
        constraint: the field of :class:`Constraints` that excludes it; None if it is another rule.
    """

    code: str
    description: str
    constraint: str | None = None


NOT_IN_MODELS = Exclusion("not_in_models", "not matched by models", "models")
UNKNOWN_COST = Exclusion(
    "cost_unknown", "of unknown cost, which max_cost does not admit", "max_cost"
)
NO_SCORE = Exclusion("score_missing", "without a finite score")
ABOVE_MAX_COST = Exclusion("above_max_cost", "above max_cost", "max_cost")

Filter: TypeAlias = tuple[Mask, Exclusion]  # which candidates pass; why the others do not


@dataclass(frozen=True, eq=False)
class Admission:
    """Which candidates may be chosen.

    Attributes:
        admitted_M: whether each candidate may be chosen.
        by_constraint_M: whether a constraint of the caller alone excludes it.
        exclusions: the possible reasons, in the order in which they were checked.
        failed_M: for each candidate the index of its first reason; -1 if it is admitted.
    """

    admitted_M: Mask
    by_constraint_M: Mask
    exclusions: tuple[Exclusion, ...]
    failed_M: npt.NDArray[np.intp]

    def excluded(self, names: Sequence[str]) -> dict[str, str]:
        """The code of the reason for every candidate that is not admitted, by name."""
        failed = np.flatnonzero(self.failed_M >= 0).tolist()
        return {names[index]: self.exclusions[self.failed_M[index]].code for index in failed}

    def counts(self) -> dict[Exclusion, int]:
        """How many candidates each reason excludes, in the order of the reasons."""
        found = Counter(self.failed_M[self.failed_M >= 0].tolist())
        return {self.exclusions[index]: found[index] for index in sorted(found)}


def admit(num_candidates: int, filters: Sequence[Filter]) -> Admission:
    """Apply filters; a candidate that fails several is excluded by the first.

    Args:
        num_candidates: M.
        filters: what a candidate must pass, in the order in which it is checked.
    """
    failed_M = np.full(num_candidates, -1, dtype=np.intp)
    by_constraint_M = np.zeros(num_candidates, dtype=np.bool_)
    for index, (passes_M, exclusion) in enumerate(filters):
        fails_M = ~passes_M & (failed_M < 0)
        failed_M[fails_M] = index
        if exclusion.constraint is not None:
            by_constraint_M |= fails_M
    exclusions = tuple(exclusion for _, exclusion in filters)
    return Admission(failed_M < 0, by_constraint_M, exclusions, failed_M)


def constraint_filters(
    constraints: Constraints, costs_M: Doubles, matches: Callable[[tuple[str, ...]], Mask]
) -> list[Filter]:
    """The filters that a caller's constraints ask for.

    Args:
        constraints: ``models`` and ``max_cost`` are read.
        costs_M: costs, infinite where unknown.
        matches: which candidates match any of some patterns.
    """
    filters: list[Filter] = []
    if constraints.models is not None:
        filters.append((matches(constraints.models), NOT_IN_MODELS))
    if constraints.max_cost is not None:
        filters.append((np.isfinite(costs_M), UNKNOWN_COST))
        filters.append((costs_M <= constraints.max_cost, ABOVE_MAX_COST))
    return filters


def matching(names: Iterable[str], patterns: Sequence[str]) -> set[str]:
    """The names that are listed or match a shell pattern, case-sensitively."""
    # A plain name costs one look-up: an allow-list may name each of a thousand candidates.
    wild = [pattern for pattern in patterns if has_wildcard(pattern)]
    found = set(names)
    return (found & set(patterns)) | {
        name for pattern in wild for name in found if fnmatchcase(name, pattern)
    }
