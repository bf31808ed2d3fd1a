"""Limits on the figures, and the page that shows both."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from modelsat.artifacts.store import write_text
from modelsat.evaluation.checks import Check, at_most
from modelsat.evaluation.provenance import render_page
from tests.benchmarks.gpu.scoring import TOKENS, Decision
from tests.benchmarks.gpu.training import MemoryFigures
from tests.benchmarks.spread import cpu_model, spread_text

_MEMORY_ERROR = 0.15
_MOVED_APART = 1e-3


def check_figures(memory: Sequence[MemoryFigures], weights: Mapping[str, float]) -> list[Check]:
    """Every limit. Rounding in bfloat16 has none: one optimizer rounds where the other does not."""
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
    checks: Sequence[Check],
    page: Path,
) -> None:
    """Write the page atomically."""
    text = render_page(
        "tests.benchmarks.gpu",
        "gpu.md.j2",
        {"spread": spread_text},
        gpu=torch.cuda.get_device_name(),
        cpu_model=cpu_model(),
        memory=memory,
        weights=weights,
        decisions=decisions,
        checks=checks,
        tokens=TOKENS,
    )
    write_text(page, text)
