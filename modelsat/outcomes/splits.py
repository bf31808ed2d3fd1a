"""Splits by a hash of the duplicate group: the same on every machine and for every table.

Shapes: Q instructions.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modelsat.errors import ArtifactError
from modelsat.outcomes.matrix import OutcomeMatrix


def split_validation(
    matrix: OutcomeMatrix, fraction: float, seed: int
) -> tuple[OutcomeMatrix, OutcomeMatrix]:
    """Split into training and validation instructions.

    Args:
        matrix: instructions to split.
        fraction: expected share of the duplicate groups that go to validation.
        seed: another seed draws another split.

    Raises:
        ArtifactError: a side would be empty.
    """
    held_Q = is_validation(matrix.groups, fraction, seed)
    check_split(int((~held_Q).sum()), int(held_Q.sum()), fraction)
    return (
        matrix.rows(np.flatnonzero(~held_Q).tolist()),
        matrix.rows(np.flatnonzero(held_Q).tolist()),
    )


def is_validation(groups: Sequence[str], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which instructions go to validation, bool [Q], by their duplicate groups."""
    return np.array([unit_hash(f"{seed}/{group}") < fraction for group in groups], dtype=bool)


def check_split(num_training: int, num_validation: int, fraction: float) -> None:
    """Refuse a split that leaves a side empty.

    Raises:
        ArtifactError: there is no training or no validation instruction.
    """
    if not num_training or not num_validation:
        raise ArtifactError(
            f"{num_training + num_validation} instructions are too few to keep {fraction:.0%} "
            "for validation"
        )


def unit_hash(text: str) -> float:
    """Return a number in [0, 1) that depends on the text alone and is spread evenly."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
