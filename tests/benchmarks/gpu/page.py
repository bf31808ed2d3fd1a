"""Limits of the GPU figures, and the page that shows both."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from modelsat.artifacts.store import write_text
from modelsat.evaluation.limit_checks import LimitCheck, at_most
from tests.benchmarks.gpu.scoring import TOKENS, Decision
from tests.benchmarks.gpu.training import MemoryFigures
from tests.benchmarks.report.page import render_page
from tests.benchmarks.report.spread import spread_text

_MEMORY_ERROR = 0.15
_MOVED_APART = 1e-3


def check_figures(
    memory: Sequence[MemoryFigures], weights: Mapping[str, float]
) -> list[LimitCheck]:
    """Check every limit.

    Weights in bfloat16 have no limit: one optimizer rounds where the other does not.
    """
    checks = []
    for figures in memory:
        what = f"{figures.name}: share by which memory differs from its plan"
        checks.append(at_most(what, abs(figures.ratio - 1), _MEMORY_ERROR, 2))
    checks += [
        at_most(f"{pair}: distance of weights after 20 steps", distance, _MOVED_APART, 6)
        for pair, distance in weights.items()
        if "bf16" not in pair
    ]
    return checks


def write_page(
    memory: Sequence[MemoryFigures],
    weights: Mapping[str, float],
    decisions: Sequence[Decision],
    checks: Sequence[LimitCheck],
    page: Path,
) -> None:
    """Write the page atomically."""
    text = render_page(
        "tests.benchmarks.gpu",
        "gpu.md.j2",
        {"spread": spread_text},
        command="python -m tests.benchmarks.gpu",
        checks=checks,
        gpu=torch.cuda.get_device_name(),
        memory=memory,
        weights=weights,
        decisions=decisions,
        tokens=TOKENS,
    )
    write_text(page, text)
