"""The training loop of a worker: both stages, epoch by epoch, resumable after every epoch."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train.collective import broadcast_from_rank_zero
from torch import Tensor

from modelsat.modeling.checkpoint import Router, load_router, save_router
from modelsat.modeling.config import ModelConfig
from modelsat.modeling.loading import build_model
from modelsat.modeling.model import ModelSat
from modelsat.modeling.tokenization import InstructionTokenizer
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.processor import local_processor, native_dtype
from modelsat.training.batches import BatchSampler
from modelsat.training.config import STAGES, StageName
from modelsat.training.loop import StageRunner, StepResult
from modelsat.training.outputs import (
    FittedOutputs,
    NetworkScores,
    fit_outputs,
    network_scores,
)
from modelsat.training.stages import adapt_for_stage, freeze_for_stage, load_trained
from train_jobs.checkpoints import ResumePoint, best_checkpoint, best_epoch, last_checkpoint, report
from train_jobs.config import TrainJobConfig
from train_jobs.data import TrainingData, read_training_data
from train_jobs.deepspeed_engine import DeepSpeedEngine, read_weights, start_distributed
from train_jobs.progress import TrainingProgress
from train_jobs.step_bar import step_reporter
from train_jobs.trackers import make_trackers
from train_jobs.validation import validate


def train_loop_per_worker(variables: Mapping[str, str], settings: dict[str, Any]) -> None:
    """Train and, on the first worker, write the router directory.

    Args:
        variables: environment variables of the driver, used where the worker has none of the same
            name. They may be secrets, and Ray exposes settings and runtime environments.
        settings: ``config``, a TrainJobConfig as plain values; ``folders``, the outcome files of
            its datasets; ``made_of``, the model configuration for the router's description; and
            ``manifest``, facts to store with the router.
    """
    os.environ.update({**variables, **os.environ})
    config = TrainJobConfig.model_validate(settings["config"])
    torch.set_num_threads(config.resources.threads_per_worker)
    start_distributed("nccl" if config.resources.use_gpu else "gloo")
    config = _with_precision(config)
    worker = RouterWorker(config, [Path(folder) for folder in settings["folders"]])
    worker.run()
    worker.save(ModelConfig.model_validate(settings["made_of"]), settings["manifest"])
    worker.progress.close()


def _with_precision(config: TrainJobConfig) -> TrainJobConfig:
    """The job with ``precision: auto`` resolved by the first worker for all of them."""
    device = "cuda" if config.resources.use_gpu else "cpu"
    dtype = broadcast_from_rank_zero(native_dtype(device))
    options = config.deepspeed.resolved(dtype)
    if ray.train.get_context().get_world_rank() == 0:
        reason = "as configured"
        if config.deepspeed.precision == "auto":
            reason = local_processor(device).reason
        # Ray carries workers' output to the job's log.
        print(f"precision {options.precision}: {reason}", flush=True)  # noqa: T201
    return config.model_copy(update={"deepspeed": options})


class RouterWorker:
    """A worker's part of a training run."""

    def __init__(self, config: TrainJobConfig, folders: Sequence[Path]) -> None:
        """Open the data and build the same model on every worker."""
        context = ray.train.get_context()
        self.config = config
        self.rank: int = context.get_world_rank()
        self.num_workers: int = context.get_world_size()
        self.data: TrainingData = read_training_data(config, folders)
        self.model: ModelSat
        self.tokenizer: InstructionTokenizer
        self.model, self.tokenizer = self._build()
        self.samplers = {stage: self._sampler(stage) for stage in STAGES}
        self.history: list[dict[str, Any]] = []
        self.progress: TrainingProgress

    def run(self) -> None:
        """Run the stages that are not finished."""
        with last_checkpoint() as found:
            if found is None:
                self.progress = self._start_progress(None)
                for stage in STAGES:
                    self._run_stage(stage, None, None)
                return
            last, directory = found
            self.history = list(last.history)
            self.progress = self._start_progress(last)
            self.progress.say(f"continuing after stage {last.stage}, epoch {last.epoch}")
            for stage in STAGES[STAGES.index(last.stage) :]:
                resumed = last if stage == last.stage else None
                self._run_stage(stage, resumed, directory)

    def save(self, made_of: ModelConfig, manifest: dict[str, Any]) -> None:
        """Fit effects and calibration on the finished network and write the router directory."""
        if self.rank != 0:
            return
        self.progress.say("fitting effects of known cards and calibration")
        fitted = self._fit_outputs()
        router = Router(
            model=self.model,
            tokenizer=self.tokenizer,
            config=made_of,
            shrinkage=fitted.shrinkage,
            calibration=fitted.calibration,
            task_sets=self.data.task_sets,
            known_cards=fitted.known_cards,
            manifest={
                **manifest,
                "deepspeed": self.config.deepspeed.model_dump(mode="json"),
                "history": self.history,
                "effect_precision": fitted.effect_precision,
                "difficulty_precision": fitted.difficulty_precision,
            },
        )
        save_router(router, self.config.router_dir)
        self.progress.say(f"router written to {self.config.router_dir}")

    def _fit_outputs(self) -> FittedOutputs:
        device = ray.train.torch.get_device() if self.config.resources.use_gpu else "cpu"
        model = self.model.eval().to(device)

        def score(matrix: OutcomeMatrix) -> NetworkScores:
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
        self, stage: StageName, resumed: ResumePoint | None, directory: Path | None
    ) -> None:
        training = self.config.training
        settings = training.stage(stage)
        adapt_for_stage(self.model, stage, training)
        freeze_for_stage(self.model, stage, training.frozen_layers)
        steps = settings.epochs * self.samplers[stage].steps_per_epoch
        engine = DeepSpeedEngine(self.model, stage, training, self.config.deepspeed, steps)
        if resumed is not None and directory is not None:
            engine.load(directory)
        runner = StageRunner(engine, self.tokenizer, self.data.training, training, engine.device)
        epoch = -1 if resumed is None else resumed.epoch
        while epoch < settings.epochs and not self._is_over(stage, epoch):
            epoch += 1
            self._run_epoch(engine, runner, stage, epoch)
        best = epoch if settings.patience is None else best_epoch(self.history, stage)
        if best == epoch:
            self._rebuild(stage, engine.full_state())
            return
        self.progress.say(f"stage {stage} ends after epoch {epoch} with the weights of {best}")
        with best_checkpoint(stage) as folder:
            self._rebuild(stage, read_weights(folder))

    def _run_epoch(
        self, engine: DeepSpeedEngine, runner: StageRunner, stage: StageName, epoch: int
    ) -> None:
        loss = None
        self.progress.start_epoch(stage, epoch)
        if epoch:
            freeze_for_stage(engine.model, stage, self.config.training.frozen_layers)
            loss = runner.train_epoch(
                self.samplers[stage],
                epoch,
                lambda result: self._after_step(engine, runner, stage, result),
            )
        found = self._validate(engine, runner, training_loss=loss)
        self.history.append({"stage": stage, "epoch": epoch, "training_loss": loss, **found})
        report(engine, ResumePoint(self.num_workers, stage, epoch, tuple(self.history)))
        self.progress.publish()

    def _after_step(
        self, engine: DeepSpeedEngine, runner: StageRunner, stage: StageName, result: StepResult
    ) -> None:
        self.progress.step(result, engine.learning_rates())
        every = self.config.training.validate_every_steps
        is_last = result.step == self.samplers[stage].steps_per_epoch
        if every is None or result.step % every or is_last:
            return
        self._validate(engine, runner, step=result.step)
        freeze_for_stage(engine.model, stage, self.config.training.frozen_layers)

    def _validate(
        self,
        engine: DeepSpeedEngine,
        runner: StageRunner,
        *,
        step: int | None = None,
        training_loss: float | None = None,
    ) -> dict[str, float | None]:
        started_s = self.progress.now_s()
        engine.model.eval()
        scores = runner.validation_scores(self.data.validation)
        found = validate(scores, self.data.validation, self.config.training.loss)
        self.progress.validated(found, started_s, step=step, training_loss=training_loss)
        # Rounding may differ between workers, but all must agree on early stopping.
        return broadcast_from_rank_zero(found.as_dict())

    def _is_over(self, stage: StageName, epoch: int) -> bool:
        """Whether early stopping ends the stage: no better epoch within its patience."""
        patience = self.config.training.stage(stage).patience
        if patience is None or epoch < 0:
            return False
        return epoch - best_epoch(self.history, stage) >= patience

    def _start_progress(self, last: ResumePoint | None) -> TrainingProgress:
        stages = {stage: self.config.training.stage(stage) for stage in STAGES}
        per_epoch = {stage: self.samplers[stage].steps_per_epoch for stage in STAGES}
        run = ray.train.get_context().get_experiment_name()
        return TrainingProgress(
            self.config.storage_path,
            run,
            epochs={stage: settings.epochs for stage, settings in stages.items()},
            steps_per_epoch=per_epoch,
            num_workers=self.num_workers,
            speaks=self.rank == 0,
            resumed_after=None if last is None else (last.stage, last.epoch),
            trackers=make_trackers(self.config, run),
            report_step=step_reporter(run),
        )

    def _build(self) -> tuple[ModelSat, InstructionTokenizer]:
        """Build the model before training."""
        if self.config.initial_router is None:
            return build_model(self.config.model, self.config.training.seed)
        router = load_router(self.config.initial_router)
        return router.model, router.tokenizer

    def _rebuild(self, stage: StageName, state: dict[str, Tensor]) -> None:
        """Build a new model with the trained weights, since ZeRO has flattened the old one."""
        self.model, self.tokenizer = self._build()
        load_trained(self.model, stage, self.config.training, state)

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
