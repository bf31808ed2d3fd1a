"""Training tokens per second, through Ray Train and DeepSpeed and by a bare PyTorch loop.

Both have the same model, batches, loss and threads, and a process of their own.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modelsat.config import load_config
from modelsat.modeling.card_features import card_features
from modelsat.modeling.loading import build_model
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.processor import native_dtype
from modelsat.training.batches import BatchSampler
from modelsat.training.losses import alignment_loss, scoring_loss
from modelsat.training.stages import freeze_for_stage, parameter_groups, schedule
from tests.benchmarks import fresh_process
from tests.benchmarks.serving.artifacts import make_cards
from tests.benchmarks.serving.load import make_prompt
from tests.support.serve_app.lite_router import PRESET
from train_jobs.attention import use_eager_attention
from train_jobs.config import TrainJobConfig

NUM_CANDIDATES = 20
PROMPT_WORDS = 100
NUM_THREADS = 2
WARMUP_STEPS = 2
_THREADS = {"OMP_NUM_THREADS": str(NUM_THREADS)}


@dataclass(frozen=True)
class TrainingFigures:
    """Figures of one run.

    Attributes:
        tokens_per_s: tokens that the base model reads, without padding, per second of the steps
            after the first two.
        mean_loss: mean loss of all steps, nats; both ways must give the same.
    """

    tokens_per_s: float
    mean_loss: float


def measure_on_ray(folder: Path, num_steps: int) -> TrainingFigures:
    """Train one worker under Ray Train, on a Ray of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return fresh_process.call(_train_on_ray, folder, num_steps, environment=_THREADS)


def measure_bare(num_steps: int) -> TrainingFigures:
    """Train by a loop that uses neither Ray nor DeepSpeed."""
    return fresh_process.call(_train_bare, num_steps, environment=_THREADS)


class Load:
    """Model, batches and tokenizer: the preset `lite` on made-up outcomes.

    Args:
        num_steps: steps of the one epoch.
    """

    def __init__(self, num_steps: int) -> None:
        self.config = load_config(TrainJobConfig, PRESET)
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

    def figures(self, ended_s: list[float], mean_loss: float) -> TrainingFigures:
        """Return the figures of a run, given the moment at which every step ended."""
        batches = list(self.sampler.epoch(1))[WARMUP_STEPS:]
        tokens = sum(int(self.tokenizer(batch.instructions).mask_BS.sum()) for batch in batches)
        seconds = ended_s[-1] - ended_s[WARMUP_STEPS - 1]
        return TrainingFigures(tokens / seconds, mean_loss)


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


def _train_bare(num_steps: int) -> TrainingFigures:
    """Train by a loop as written without this project's engines."""
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


def _worker(settings: dict[str, Any]) -> None:
    """Train one epoch of stage ``all`` by the job's own engine and loop, under Ray Train."""
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
    Path(settings["out"]).write_text(json.dumps(asdict(load.figures(ended_s, loss))))


def _train_on_ray(folder: Path, num_steps: int) -> TrainingFigures:
    """Start Ray and one worker as the training job does."""
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer

    from train_jobs.job import connected_ray
    from train_jobs.sharding import cpu_environment

    out = folder / "on_ray.json"
    with connected_ray():
        TorchTrainer(
            _worker,
            train_loop_config={"num_steps": num_steps, "out": str(out)},
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
    return TrainingFigures(**json.loads(out.read_text()))
