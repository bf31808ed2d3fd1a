"""Configuration of a training job."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from modelsat.config import AbsolutePath, FrozenConfig
from modelsat.modeling.config import ModelConfig
from modelsat.processor import DType
from modelsat.training.config import Precision, TrainingConfig, count_steps
from train_jobs.storage import absolute_storage, is_url

TrackerName = Literal["mlflow", "wandb"]


class DataSetConfig(FrozenConfig):
    """Outcomes to train on, and the cards of their candidates.

    Attributes:
        questions: questions tables (parquet) of the training instructions.
        outcomes: outcomes table (parquet).
        sources: sources of outcomes to use; None uses all.
        cards: cards table (parquet).
        tasks: the aptitude test (JSON); its questions are excluded from training.
        candidates: candidates to train on; None uses every card.
    """

    questions: tuple[AbsolutePath, ...] = Field(min_length=1)
    outcomes: AbsolutePath
    sources: tuple[str, ...] | None = None
    cards: AbsolutePath
    tasks: AbsolutePath
    candidates: tuple[str, ...] | None = None


class ResourcesConfig(FrozenConfig):
    """Resources of the workers.

    Attributes:
        num_workers: data-parallel workers.
        use_gpu: whether each worker gets a GPU.
        accelerator_type: Ray's name of the GPU type (``H100``, ``A100-80G``); None allows any.
        cpus_per_worker: CPUs that Ray reserves per worker.
        threads_per_worker: PyTorch threads per worker.
        max_failures: number of restarts of a failed run from its last checkpoint.
    """

    num_workers: int = Field(default=2, ge=1)
    use_gpu: bool = False
    accelerator_type: str | None = None
    cpus_per_worker: float = Field(default=1, gt=0)
    threads_per_worker: int = Field(default=1, ge=1)
    max_failures: int = Field(default=1, ge=0)


class DeepSpeedConfig(FrozenConfig):
    """How DeepSpeed shards the training state.

    Attributes:
        zero_stage: 2 shards optimizer state and gradients, 3 the weights too.
        precision: ``float32``; ``autocast``: weights in float32, matrix products in bfloat16;
            ``bf16``: weights in bfloat16 with float32 master copies, for large models on GPUs;
            ``auto``: ``autocast`` where the first worker's processor computes in bfloat16
            natively, otherwise ``float32``.
        offload_optimizer: keep master copies and optimizer states in host memory and update them
            on CPUs: saves 12 bytes of GPU memory per weight, but steps are slower.
        activation_checkpointing: recompute layers in the backward pass instead of storing their
            activations: needs a fraction of the memory for a quarter more compute.
    """

    zero_stage: Literal[2, 3] = 2
    precision: Precision | Literal["auto"] = "auto"
    offload_optimizer: bool = False
    activation_checkpointing: bool = False

    def resolved(self, dtype: DType) -> "DeepSpeedConfig":
        """The same with ``auto`` replaced by what suits a processor.

        Args:
            dtype: what the processor computes in natively.
        """
        if self.precision != "auto":
            return self
        precision = "autocast" if dtype == "bfloat16" else "float32"
        return self.model_copy(update={"precision": precision})

    @property
    def resolved_precision(self) -> Precision:
        """The precision; ``auto`` must have been resolved before."""
        if self.precision == "auto":
            raise ValueError("precision auto was not resolved")
        return self.precision


class TrainJobConfig(FrozenConfig):
    """A training job, from tables to a router directory.

    Attributes:
        name: name of the run; its checkpoints are stored under it.
        storage_path: storage of checkpoints, shared by the workers: a folder, or a URL that
            pyarrow or fsspec can open (``s3://bucket/folder``).
        router_dir: output router directory.
        trackers: experiment trackers that receive the same scalars as TensorBoard's event files.
            Their packages must be installed; their own environment variables configure them.
        keep_checkpoints: number of best checkpoints by validation loss to keep, in addition to
            the last.
        data: one or more datasets; the router learns to read the cards of all their aptitude
            tests.
        model: model configuration.
        initial_router: a router directory whose weights and tokenizer training starts from;
            ``model`` must equal its configuration.
        training: training configuration.
        resources: resources of the workers.
        deepspeed: sharding of the training state.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    storage_path: Annotated[str, Field(min_length=1), AfterValidator(absolute_storage)]
    router_dir: AbsolutePath
    trackers: tuple[TrackerName, ...] = ()
    keep_checkpoints: int = Field(default=1, ge=1)
    data: tuple[DataSetConfig, ...] = Field(min_length=1)
    model: ModelConfig
    initial_router: AbsolutePath | None = None
    training: TrainingConfig
    resources: ResourcesConfig = ResourcesConfig()
    deepspeed: DeepSpeedConfig = DeepSpeedConfig()

    def num_steps(self, sizes: Sequence[int]) -> int:
        """Return the steps of both stages, early stopping apart.

        Args:
            sizes: training instructions of each dataset.
        """
        training = self.training
        passes = self.resources.num_workers * training.gradient_accumulation_steps
        return sum(
            stage.epochs * count_steps(sizes, training.batch_size * passes, stage.max_steps)
            for stage in (training.connector_stage, training.all_stage)
        )

    @property
    def shared_folder(self) -> Path:
        """Folder for files that every machine reads: next to the router if storage is a URL."""
        remote = is_url(self.storage_path)
        return self.router_dir.parent if remote else Path(self.storage_path)
