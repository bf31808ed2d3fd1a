"""Which waiting candidate starts next: what each needs compared with what the cluster has.

Arithmetic on Ray's resource names; no cluster is asked. Ray places the replicas, so a wrong guess
costs time and changes no result.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from modelsat.zoo.candidate import Candidate
from profiling.engines import engine_of
from profiling.job import LIGHT_STAGE

Resources = Mapping[str, float]

_NUM_LIGHT_STAGES = 4  # read, drop settled questions, render, grade
_MARGIN = 1e-6  # sums of fractions are not exact


def needs(candidate: Candidate, replicas: int) -> dict[str, float]:
    """Return what the replicas and the stages around them reserve, by Ray's resource names."""
    replica = engine_of(candidate).replica_resources()
    total = {name: amount * replicas for name, amount in replica.items()}
    total["CPU"] = total.get("CPU", 0.0) + _NUM_LIGHT_STAGES * LIGHT_STAGE["num_cpus"]
    return total


def choose_next(
    waiting: Sequence[Resources],
    running: Sequence[Resources],
    total: Resources,
    available: Resources,
    *,
    may_fit: bool = True,
) -> tuple[int, bool] | None:
    """Return the candidate to start now.

    The first candidate that fits into the free resources starts; a larger one lets those behind it
    pass. A candidate that the whole cluster could not hold starts without room, so that Ray asks
    for machines while the candidate's own deadline runs. A candidate that fits only when others
    have ended waits; once none of this run is left to wait for, it starts.

    Args:
        waiting: needs of the waiting candidates, in order.
        running: needs of the running candidates that have room.
        total: resources of the cluster.
        available: resources that no job uses; some seconds out of date.
        may_fit: whether one more candidate with room may start.

    Returns:
        Its index in ``waiting`` and whether it has room; None if all must wait.
    """
    taken = Counter[str]()
    for needed in running:
        taken.update(needed)  # type: ignore[arg-type]
    free = {
        name: min(amount - taken[name], available.get(name, 0.0)) for name, amount in total.items()
    }
    for index, needed in enumerate(waiting):
        if may_fit and _fits(needed, free):
            return index, True
    for index, needed in enumerate(waiting):
        if not _fits(needed, total):
            return index, False
    return (0, True) if waiting and not running else None


def _fits(needed: Resources, free: Resources) -> bool:
    return all(amount <= free.get(name, 0.0) + _MARGIN for name, amount in needed.items())
