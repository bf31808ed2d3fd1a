"""What every training worker runs: both stages, epoch by epoch, resumable between epochs."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import torch
from torch import Tensor

from modelsat.modeling.checkpoint import Router, save_router
from modelsat.modeling.known_cards import merged
from modelsat.modeling.loading import build_model
from modelsat.modeling.model import ModelSat
from modelsat.modeling.tokenization import InstructionTokenizer
from modelsat.training.batches import BatchSampler
from modelsat.training.config import StageName
from modelsat.training.data import Floats, OutcomeMatrix
from modelsat.training.loop import EpochResult, StageRunner, all_cells, validation_loss
from modelsat.training.metrics import cell_auc
from modelsat.training.outputs import FittedOutputs, fit_outputs, network_scores
from modelsat.training.stages import STAGES, freeze_for_stage
from train_jobs.config import TrainJobConfig
from train_jobs.data import TrainingData, read_training_data
from train_jobs.deepspeed_engine import DeepSpeedEngine, start_distributed

_PROGRESS = "progress.json"
_STEPS_PER_LINE = 25  # training steps between two lines of progress


@dataclass(frozen=True)
class Progress:
    """How far a run has come: the last finished epoch and what every epoch did."""

    stage: StageName
    epoch: int
    history: tuple[dict[str, Any], ...]


def train_loop_per_worker(settings: dict[str, Any]) -> None:
    """Train and, on the first worker, write the router directory.

    Args:
        settings: ``config``, a TrainJobConfig as plain values, and ``manifest``, facts to store
            with the router.
    """
    config = TrainJobConfig.model_validate(settings["config"])
    torch.set_num_threads(config.resources.threads_per_worker)
    start_distributed("nccl" if config.resources.use_gpu else "gloo")
    worker = RouterWorker(config)
    worker.run()
    worker.save(settings["manifest"])


class RouterWorker:
    """One worker's share of a run."""

    def __init__(self, config: TrainJobConfig) -> None:
        """Read the data and build the model, alike on every worker."""
        context = ray.train.get_context()
        self.config = config
        self.rank: int = context.get_world_rank()
        self.num_workers: int = context.get_world_size()
        self.data: TrainingData = read_training_data(config)
        self.model: ModelSat
        self.tokenizer: InstructionTokenizer
        self.model, self.tokenizer = build_model(config.model, config.training.seed)
        self.history: list[dict[str, Any]] = []

    def run(self) -> None:
        """Run the stages that are not done."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            for stage in STAGES:
                self._run_stage(stage, None, None)
            return
        with checkpoint.as_directory() as directory:
            progress = Progress(**json.loads((Path(directory) / _PROGRESS).read_text()))
            self.history = list(progress.history)
            self._print(f"continuing after stage {progress.stage}, epoch {progress.epoch}")
            for stage in STAGES[STAGES.index(progress.stage) :]:
                resumed = progress if stage == progress.stage else None
                self._run_stage(stage, resumed, Path(directory))

    def save(self, manifest: dict[str, Any]) -> None:
        """Fit effects and calibration on the finished network and write the router directory."""
        if self.rank != 0:
            return
        self._print("fitting effects of known cards and calibration")
        fitted = self._fit_outputs()
        known = zip(self.data.training, fitted.known_cards, strict=True)
        router = Router(
            model=self.model,
            tokenizer=self.tokenizer,
            config=self.config.model,
            calibration=fitted.calibration,
            task_sets=self.data.task_sets,
            known_cards=merged((matrix.cards[0].tasks_hash, cards) for matrix, cards in known),
            manifest={
                **manifest,
                "history": self.history,
                "effect_precision": fitted.precision,
            },
        )
        save_router(router, self.config.router_dir)
        self._print(f"router written to {self.config.router_dir}")

    def _fit_outputs(self) -> FittedOutputs:
        device = ray.train.torch.get_device() if self.config.resources.use_gpu else "cpu"
        model = self.model.eval().to(device)

        def score(matrix: OutcomeMatrix) -> tuple[Floats, Floats]:
            with torch.autocast(
                torch.device(device).type,
                torch.bfloat16,
                enabled=self.config.deepspeed.precision != "float32",
            ):
                return network_scores(model, self.tokenizer, matrix, torch.device(device))

        training = self.config.training
        return fit_outputs(
            score,
            self.data.training,
            self.data.validation,
            num_instructions=training.effect_instructions,
            seed=training.seed,
        )

    def _run_stage(
        self, stage: StageName, resumed: Progress | None, directory: Path | None
    ) -> None:
        training = self.config.training
        sampler = self._sampler(stage)
        epochs = training.stage(stage).epochs
        freeze_for_stage(self.model, stage, training.frozen_layers)
        engine = DeepSpeedEngine(
            self.model, stage, training, self.config.deepspeed, epochs * sampler.steps_per_epoch
        )
        if resumed is not None and directory is not None:
            engine.load(directory)
        runner = StageRunner(engine, self.tokenizer, self.data.training, training, engine.device)
        start = 0 if resumed is None else resumed.epoch + 1
        for epoch in range(start, epochs + 1):
            self._run_epoch(engine, runner, sampler, stage, epoch)
        self._rebuild(engine.full_state())

    def _run_epoch(
        self,
        engine: DeepSpeedEngine,
        runner: StageRunner,
        sampler: BatchSampler,
        stage: StageName,
        epoch: int,
    ) -> None:
        loss = None
        if epoch:
            freeze_for_stage(engine.model, stage, self.config.training.frozen_layers)

            def on_step(step: int, value: float) -> None:
                if step % _STEPS_PER_LINE == 0:
                    steps = sampler.steps_per_epoch
                    self._print(
                        f"stage {stage}, epoch {epoch}: step {step}/{steps}, loss {value:.4f}"
                    )

            loss = runner.train_epoch(sampler, epoch, on_step)
        scores = self._validate(engine, runner)
        validation = self.data.validation
        result = EpochResult(
            stage,
            epoch,
            loss,
            validation_loss(scores, validation, self.config.training.loss),
            cell_auc(*all_cells(scores, validation)),
        )
        self.history.append(result.as_dict())
        shown = "-" if loss is None else f"{loss:.4f}"
        self._print(
            f"stage {stage}, epoch {epoch}: training loss {shown}, "
            f"validation loss {result.validation_loss:.4f}, AUC {result.validation_auc or 0:.4f}"
        )
        self._report(engine, Progress(stage, epoch, tuple(self.history)))

    def _validate(self, engine: DeepSpeedEngine, runner: StageRunner) -> list[Floats]:
        engine.model.eval()
        return runner.validation_scores(self.data.validation)

    def _report(self, engine: DeepSpeedEngine, progress: Progress) -> None:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            engine.save(directory)
            if self.rank == 0:
                (directory / _PROGRESS).write_text(json.dumps(vars(progress)))
            ray.train.report(
                progress.history[-1], checkpoint=ray.train.Checkpoint.from_directory(directory)
            )

    def _rebuild(self, state: dict[str, Tensor]) -> None:
        """A fresh model with the trained weights: ZeRO leaves the old one flattened."""
        self.model, self.tokenizer = build_model(self.config.model, self.config.training.seed)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(state[name])

    def _sampler(self, stage: StageName) -> BatchSampler:
        training = self.config.training
        return BatchSampler(
            self.data.training,
            batch_size=training.batch_size,
            composites=training.composites,
            max_steps=training.stage(stage).max_steps,
            accumulation=training.gradient_accumulation_steps,
            seed=training.seed + STAGES.index(stage),
            rank=self.rank,
            num_workers=self.num_workers,
        )

    def _print(self, line: str) -> None:
        if self.rank == 0:
            print(line, flush=True)  # noqa: T201 - Ray carries workers' output to the job's log
