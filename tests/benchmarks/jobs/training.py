"""Training tokens per second, through Ray Train and DeepSpeed and by a bare PyTorch loop.

The same model, batches, loss and threads. ``python -m tests.benchmarks.jobs.training`` runs the
bare loop and prints one JSON object; Ray's runs are started by :func:`measure_on_ray`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modelsat.config import load_config
from modelsat.modeling.card_features import card_features
from modelsat.modeling.loading import build_model
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.processor import native_dtype
from modelsat.training.attention import use_eager_attention
from modelsat.training.batches import BatchSampler
from modelsat.training.losses import alignment_loss, scoring_loss
from modelsat.training.stages import freeze_for_stage, parameter_groups, schedule
from tests.benchmarks.serving.artifacts import ROOT, make_cards
from tests.benchmarks.serving.load import make_prompt
from tests.support.serve_app.lite_router import PRESET, minilm_weights
from train_jobs.config import TrainJobConfig

NUM_CANDIDATES = 20
PROMPT_WORDS = 100
NUM_THREADS = 2
WARMUP_STEPS = 2


@dataclass(frozen=True)
class TrainingFigures:
    """One run.

    Attributes:
        tokens_per_s: tokens that the base reads, inquiry included and padding not, per second of
            the steps after the first two.
        mean_loss: of all steps, nats: both ways have to learn the same.
    """

    tokens_per_s: float
    mean_loss: float


def measure_on_ray(folder: Path, num_steps: int) -> TrainingFigures:
    """Train one worker under Ray Train, in a process that starts Ray."""
    return _measure(folder, num_steps, "on_ray")


def measure_bare(folder: Path, num_steps: int) -> TrainingFigures:
    """Train by a loop that knows neither Ray nor DeepSpeed."""
    return _measure(folder, num_steps, "bare")


def _measure(folder: Path, num_steps: int, way: str) -> TrainingFigures:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    threads = {"OMP_NUM_THREADS": str(NUM_THREADS), "HF_HUB_OFFLINE": "1"}
    process = subprocess.run(
        [sys.executable, "-m", __spec__.name, way, str(folder), str(num_steps)],
        env=environment | threads,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"{way} training could not be measured: {process.stderr[-2000:]}")
    return TrainingFigures(**json.loads((folder / f"{way}.json").read_text()))


class Load:
    """Model, batches and their tokens: the preset `lite` on made-up outcomes.

    Args:
        num_steps: steps of the one epoch.
    """

    def __init__(self, num_steps: int) -> None:
        weights = minilm_weights()
        parts = [f"model.{part}={weights}" for part in ("base", "encoder")]
        self.config = load_config(TrainJobConfig, PRESET, parts)
        self.options = self.config.deepspeed.resolved(native_dtype())
        training = self.config.training
        self.matrix = _made_up_matrix(num_steps * training.batch_size)
        self.sampler = BatchSampler(
            [self.matrix],
            batch_size=training.batch_size,
            composites=training.composites,
            seed=training.seed,
        )
        self.model, self.tokenizer = build_model(self.config.model, training.seed)
        freeze_for_stage(self.model, "all", training.frozen_layers)
        use_eager_attention(self.model, torch.device("cpu"), self.options.resolved_precision)

    def figures(self, ended_s: list[float], mean_loss: float) -> dict[str, float]:
        """Fields of :class:`TrainingFigures`, from the moment at which every step ended."""
        batches = list(self.sampler.epoch(1))[WARMUP_STEPS:]
        tokens = sum(int(self.tokenizer(batch.instructions).mask_BS.sum()) for batch in batches)
        seconds = ended_s[-1] - ended_s[WARMUP_STEPS - 1]
        return {"tokens_per_s": tokens / seconds, "mean_loss": mean_loss}


def _made_up_matrix(num_instructions: int) -> OutcomeMatrix:
    rng = np.random.default_rng(0)
    ids = tuple(f"q{i}" for i in range(num_instructions))
    return OutcomeMatrix(
        question_ids=ids,
        instructions=tuple(make_prompt(0, i, PROMPT_WORDS) for i in range(num_instructions)),
        tasks=tuple(f"task-{i % 50}" for i in range(num_instructions)),
        categories=("",) * num_instructions,
        groups=ids,
        cards=tuple(make_cards(NUM_CANDIDATES)),
        correct_QM=rng.integers(0, 2, (num_instructions, NUM_CANDIDATES)).astype(np.float32),
    )


def bare(num_steps: int) -> dict[str, float]:
    """The loop as one would write it without this project's engines."""
    torch.set_num_threads(NUM_THREADS)
    load = Load(num_steps)
    training, options = load.config.training, load.config.training.loss
    groups = parameter_groups(load.model, training.all_stage, training.weight_decay)
    optimizer = torch.optim.AdamW(groups, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(training, num_steps))
    statements = load.tokenizer.encoder_features(card_features(load.matrix.cards).texts)
    ended_s, total = [], 0.0
    for batch in load.sampler.epoch(1):
        tokens = load.tokenizer(batch.instructions)
        rng = np.random.default_rng((training.seed, 1, batch.number, 1))
        with torch.autocast("cpu", torch.bfloat16, enabled=load.options.precision != "float32"):
            weights_MT = torch.from_numpy(batch.weights)
            log_odds_BM, log_relevance_BT, _ = load.model(tokens, statements, weights_MT)
        loss = scoring_loss(log_odds_BM, batch.correct, options, rng, batch.terms)
        alignment = alignment_loss(log_relevance_BT, batch.statement)
        loss = loss + options.alignment_weight * batch.terms.statements * alignment
        loss.backward()
        torch.nn.utils.clip_grad_norm_(load.model.parameters(), training.max_grad_norm)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        total += float(loss.detach())
        ended_s.append(time.perf_counter())
    return load.figures(ended_s, total / num_steps)


def worker(settings: dict[str, Any]) -> None:
    """One epoch of stage ``all`` by the job's own engine and loop, under Ray Train."""
    from modelsat.training.loop import StageRunner
    from train_jobs.deepspeed_engine import DeepSpeedEngine, start_distributed

    torch.set_num_threads(NUM_THREADS)
    start_distributed("gloo")
    num_steps = settings["num_steps"]
    load = Load(num_steps)
    training = load.config.training
    engine = DeepSpeedEngine(load.model, "all", training, load.options, num_steps)
    runner = StageRunner(engine, load.tokenizer, [load.matrix], training, engine.device)
    freeze_for_stage(engine.model, "all", training.frozen_layers)
    ended_s: list[float] = []
    loss = runner.train_epoch(load.sampler, 1, lambda *_: ended_s.append(time.perf_counter()))
    Path(settings["out"]).write_text(json.dumps(load.figures(ended_s, loss)))


def on_ray(folder: Path, num_steps: int) -> None:
    """Start Ray and one worker as the training job does."""
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer

    from train_jobs.job import connected_ray
    from train_jobs.sharding import cpu_environment

    with connected_ray():
        TorchTrainer(
            worker,
            train_loop_config={"num_steps": num_steps, "out": str(folder / "on_ray.json")},
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ray.train.ScalingConfig(
                num_workers=1, resources_per_worker={"CPU": NUM_THREADS}
            ),
            run_config=ray.train.RunConfig(
                storage_path=str(folder / "storage"),
                worker_runtime_env={
                    "env_vars": {**cpu_environment(), "OMP_NUM_THREADS": str(NUM_THREADS)}
                },
            ),
        ).fit()


def main() -> None:
    """Measure one way in this process, into FOLDER/WAY.json."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.jobs.training", description=__doc__
    )
    parser.add_argument("way", choices=("bare", "on_ray"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("num_steps", type=int)
    arguments = parser.parse_args()
    if arguments.way == "on_ray":
        from tests.benchmarks.jobs import training

        training.on_ray(arguments.folder, arguments.num_steps)
    else:
        found = bare(arguments.num_steps)
        (arguments.folder / "bare.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
