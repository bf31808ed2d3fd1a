"""The benchmark on a GPU holds its figures against the right limits and writes them down."""

from dataclasses import replace

import pytest

from modelsat.evaluation.limit_checks import LimitCheck
from tests.benchmarks.gpu import page
from tests.benchmarks.gpu.scoring import Decision
from tests.benchmarks.gpu.training import MemoryFigures
from tests.benchmarks.report.spread import Spread
from tests.support.train_jobs.measure_memory import Measured
from train_jobs.footprint import Footprint
from train_jobs.plan import TrainPlan, WorkLoad
from train_jobs.sharding import ShardedMemory

GIB = 2**30
PLAN = TrainPlan(
    work=WorkLoad(20, 50),
    footprint=Footprint({}, {}, (), 0, flop=989 * 10**11, peak_bytes=0),
    memory=ShardedMemory(0, 0, 0, 0, 0, 0, 0),
    runtime=0,
    activations=0,
    validation=0,
    total=40 * GIB,
    available=None,
    passes_per_step=2,
    instructions_per_step=32,
    tokens_per_step=1000,
    traffic=0,
    step_s=1.0,
    assumptions=(),
)
FIGURES = MemoryFigures("small", ("a=1",), PLAN, Measured(0, 42 * GIB, 44 * GIB, (9.0, 0.4, 0.6)))
WEIGHTS = {"cpu and gpu": 1e-3, "gpu, bf16 and gpu, bf16, optimizer on the host": 0.5}
DECISION = Decision("small", 100, 16, Spread([32.0]), 1.5)


@pytest.mark.parametrize(
    ("peak", "is_met"), [(34.1, True), (45.9, True), (33.9, False), (46.1, False)]
)
def test_memory_may_differ_from_its_plan_by_15_percent_either_way(peak, is_met):
    measured = replace(FIGURES.measured, peak=int(peak * GIB))
    (check,) = page.check_figures([replace(FIGURES, measured=measured)], {})
    assert check.is_met is is_met


def test_weights_may_differ_by_a_thousandth_and_in_bfloat16_by_anything():
    (check,) = page.check_figures([], WEIGHTS)
    assert check.is_met
    assert not page.check_figures([], {"cpu and gpu": 1.1e-3})[0].is_met


def test_the_page_tells_every_figure(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    checks: list[LimitCheck] = page.check_figures([FIGURES], WEIGHTS)
    page.write_page([FIGURES], WEIGHTS, [DECISION], checks, tmp_path / "gpu.md")
    text = (tmp_path / "gpu.md").read_text()
    assert "a GPU" in text
    # 2 passes of 98.9 TFLOP in half a second are 0.4 of 989 TFLOP/s.
    assert "| small | 40.00 | 42.00 | 44.00 | 1.00 | 0.4, 0.6 | 40 % |" in text
    assert "| small | 100 | 16 | 32.0 (32.0 to 32.0) | 2.00 | 1.50 |" in text
