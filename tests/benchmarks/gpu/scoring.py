"""Time of one decision on the GPU, by size of the router and number of candidates."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from modelsat.config import load_config
from tests.benchmarks.gpu.training import CONFIGS, PARTS
from tests.benchmarks.report.spread import Spread
from train_jobs.config import TrainJobConfig
from train_jobs.footprint import PassShape, pass_inputs
from train_jobs.shapes import build_shapes

NUM_CANDIDATES = (1, 100, 1000)
TOKENS = 128
BATCH_SIZES = (1, 16)
_STATEMENTS = 50
_ROUNDS = 20
_ROUTERS = (
    ("small", "qwen2.5-0.5b", "bge-small-en-v1.5"),
    ("paper, instruction_first", "phi-3-mini-4k-instruct", "e5-large-v2"),
)


@dataclass(frozen=True)
class Decision:
    """Time and memory of a batch of decisions over all candidates.

    Attributes:
        router: name of the router.
        candidates: number of candidates.
        instructions: instructions in the batch.
        milliseconds: time of the pass, in 20 rounds.
        peak_gib: peak memory of tensors, weights included.
    """

    router: str
    candidates: int
    instructions: int
    milliseconds: Spread
    peak_gib: float


def measure_decisions() -> list[Decision]:
    """Score random tokens by random weights; the cost of a decision depends on neither."""
    return [
        decision
        for name, base, encoder in _ROUTERS
        for decision in _measure_router(name, PARTS / base, PARTS / encoder)
    ]


@torch.inference_mode()
def _measure_router(name: str, base: Path, encoder: Path) -> list[Decision]:
    parts = [f"model.base={base}", f"model.encoder={encoder}"]
    config = load_config(TrainJobConfig, CONFIGS / "small.yaml", parts)
    with torch.device("cuda"):
        model = build_shapes(config.model, torch.bfloat16)
    model.connector.float()
    model.readout.float()
    model.prepare_for_inference(torch.bfloat16)
    decisions = []
    for candidates in NUM_CANDIDATES:
        for instructions in BATCH_SIZES:
            shape = PassShape(instructions, candidates, _STATEMENTS, TOKENS, TOKENS, 24)
            tokens, statements, weights_MT = pass_inputs(shape)
            tokens = tokens.to(torch.device("cuda"))
            statements_TE = model.encode({k: v.cuda() for k, v in statements.items()})
            evidence = weights_MT.cuda()
            difficulty_E = torch.zeros_like(statements_TE[0])
            torch.cuda.reset_peak_memory_stats()
            spread = Spread()
            for round_number in range(_ROUNDS + 3):
                start_s = time.perf_counter()
                log_odds_BM, _ = model.score(
                    tokens, statements_TE, evidence, evidence, difficulty_E
                )
                log_odds_BM.cpu()
                if round_number >= 3:
                    spread.add(1000 * (time.perf_counter() - start_s))
            peak_gib = torch.cuda.max_memory_allocated() / 2**30
            decisions.append(Decision(name, candidates, instructions, spread, peak_gib))
    del model
    torch.cuda.empty_cache()
    return decisions
