"""Folds of cross-validation."""

import hashlib


def fold_of(group: str, num_folds: int) -> int:
    """Return the fold, 0..num_folds - 1, that a duplicate group is tested in."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") % num_folds
