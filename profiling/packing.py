"""Which waiting candidate starts next: what each needs against what the cluster has.

Arithmetic on Ray's resource names; asks no cluster. Ray places the replicas, so a wrong guess costs
time and changes no result.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from modelsat.zoo.candidate import Candidate
from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.engines.vllm import VllmCandidate
from profiling.engine import LIGHT_STAGE
from profiling.remote import REPLICA_CPUS

Resources = Mapping[str, float]

_NUM_LIGHT_STAGES = 4  # read, drop what is settled, render, grade
_MARGIN = 1e-6  # sums of fractions are not exact


def needs(candidate: Candidate, replicas: int) -> dict[str, float]:
    """What so many replicas and the stages around them reserve, by Ray's resource names."""
    if isinstance(candidate, OpenAICandidate):
        replica = {"CPU": REPLICA_CPUS}
    else:
        assert isinstance(candidate, VllmCandidate)
        replica = _engine_needs(candidate)
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
    """The candidate to start now.

    The first that fits into what is free; one that does not lets those behind it pass. One that the
    whole cluster could not hold is started without room, so that Ray asks for machines while its
    own deadline runs. One that must wait for others to end is not started before; when none of ours
    is left to wait for, it starts.

    Args:
        waiting: needs of the candidates that wait, in their order.
        running: needs of those that have room.
        total: what the cluster has.
        available: what nobody uses, other jobs included; it lags behind by some seconds.
        may_fit: whether one more that has room may start.

    Returns:
        Its place in ``waiting`` and whether it has room; None if all have to wait.
    """
    taken = Counter[str]()
    for needed in running:
        taken.update(needed)  # type: ignore[arg-type]
    free = {
        name: min(amount - taken[name], available.get(name, 0.0)) for name, amount in total.items()
    }
    for place, needed in enumerate(waiting):
        if may_fit and _fits(needed, free):
            return place, True
    for place, needed in enumerate(waiting):
        if not _fits(needed, total):
            return place, False
    return (0, True) if waiting and not running else None


def _engine_needs(candidate: VllmCandidate) -> dict[str, float]:
    engine = candidate.engine_kwargs
    workers = engine.get("tensor_parallel_size", 1) * engine.get("pipeline_parallel_size", 1)
    placement = candidate.llm_config.get("placement_group_config") or {}
    per_worker = placement.get("bundle_per_worker") or {"GPU": 1}
    bundles = placement.get("bundles") or [per_worker] * workers
    total: dict[str, float] = {}
    for bundle in bundles:
        for name, amount in bundle.items():
            total[name] = total.get(name, 0.0) + amount
    accelerator = candidate.llm_config.get("accelerator_type")
    # 0.001 of it per bundle is Ray's way to ask for a kind of machine.
    return {**total, f"accelerator_type:{accelerator}": 0.001} if accelerator else total


def _fits(needed: Resources, free: Resources) -> bool:
    return all(amount <= free.get(name, 0.0) + _MARGIN for name, amount in needed.items())
