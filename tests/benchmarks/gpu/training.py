"""Training on the GPU: memory and time compared with the plan, weights with those of a CPU."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from modelsat.config import load_config
from modelsat.modeling.tiny import write_tiny_parts
from tests.support.router_parts import make_matrix
from tests.support.train_jobs.distributed import moved_apart, run_ranks
from tests.support.train_jobs.measure_memory import Measured, measure
from train_jobs.chips import CHIPS
from train_jobs.config import TrainJobConfig
from train_jobs.plan import TrainPlan, make_plan

ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "train_jobs" / "configs"
PARTS = ROOT / "tests" / "model_configs"
_PAPER = {"base": "phi-3-mini-4k-instruct", "encoder": "e5-large-v2"}
_SMALL = {"base": "qwen2.5-0.5b", "encoder": "bge-small-en-v1.5"}
_H100 = "resources.accelerator_type=H100"
# Shipped configuration, its parts, number of candidates, and changed values.
_CASES = (
    ("small", _SMALL, 20, (_H100, "resources.threads_per_worker=16")),
    # 2 passes per step, not 16: each pass costs the same, and gradients are summed either way.
    ("paper-1-gpu", _PAPER, 66, ("training.gradient_accumulation_steps=2",)),
)
_STEPS = {"epochs": 2, "max_steps": 10, "learning_rate": 1e-3, "capability_learning_rate": 2e-3}


@dataclass(frozen=True)
class MemoryFigures:
    """Plan and measurement of one configuration.

    Attributes:
        name: name of the shipped configuration.
        changes: changed values.
        plan: planned memory and time.
        measured: measured memory and time.
    """

    name: str
    changes: tuple[str, ...]
    plan: TrainPlan
    measured: Measured

    @property
    def ratio(self) -> float:
        """Measured peak memory over the planned peak."""
        return self.measured.peak / self.plan.total

    @property
    def rate_fraction(self) -> float:
        """Share of the chip's bfloat16 peak rate that a whole step reaches, optimizer included."""
        flop = self.plan.footprint.flop * self.plan.passes_per_step
        return flop / fmean(self.measured.step_s[1:]) / (CHIPS["H100"].bf16_tflop_per_s * 1e12)


def measure_memory(folder: Path, echo: Callable[[str], None]) -> list[MemoryFigures]:
    """Plan and run every case."""
    figures = []
    for name, parts, candidates, changes in _CASES:
        echo(name)
        local = [f"model.{part}={PARTS / directory}" for part, directory in parts.items()]
        config = load_config(TrainJobConfig, CONFIGS / f"{name}.yaml", [*local, *changes])
        plan = make_plan(config, candidates)
        figures.append(MemoryFigures(name, changes, plan, measure(folder, config, plan)))
    return figures


def measure_weights(folder: Path) -> dict[str, float]:
    """Return distances between weights after 20 steps of a tiny router.

    Each is divided by the distance that the weights moved. Runs in float32 are compared with the
    one on CPUs; the run in bfloat16 with its optimizer on the host with the one without.
    """
    folder.mkdir()
    base, encoder = write_tiny_parts(folder / "parts", make_matrix().instructions, seed=0)
    parts = {"base": str(base), "encoder": str(encoder)}
    _run(folder, parts, "cpu", [_case("cpu")])
    _run(
        folder,
        parts,
        "cuda",
        [
            _case("gpu"),
            _case("gpu, optimizer on the host", offload_optimizer=True),
            _case("gpu, recomputed", activation_checkpointing=True),
            _case("gpu, bf16", precision="bf16"),
            _case("gpu, bf16, optimizer on the host", precision="bf16", offload_optimizer=True),
        ],
    )
    pairs = [
        ("cpu", "gpu"),
        ("gpu", "gpu, optimizer on the host"),
        ("gpu", "gpu, recomputed"),
        ("gpu, bf16", "gpu, bf16, optimizer on the host"),
    ]
    return {f"{one} and {other}": moved_apart(folder, one, other) for one, other in pairs}


def _case(name: str, **options: Any) -> dict[str, Any]:
    training = {
        "batch_size": 16,
        "composites": 6,
        "loss": {"in_batch_weight": 1.0, "pointwise_weight": 1.0},
        "connector_stage": _STEPS,
        "all_stage": _STEPS,
    }
    return {
        "name": name,
        "stage": "all",
        "training": training,
        "deepspeed": {"zero_stage": 2, "precision": "float32", **options},
    }


def _run(
    folder: Path, parts: dict[str, str], accelerator: str, cases: list[dict[str, Any]]
) -> None:
    plan = folder / f"{accelerator}.json"
    plan.write_text(json.dumps({"parts": parts, "out": str(folder), "cases": cases}))
    run_ranks(plan, 1, accelerator)
