"""One training job."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from modelsat.config import FrozenConfig
from modelsat.modeling.config import ModelConfig
from modelsat.training.config import Precision, TrainingConfig
from train_jobs.storage import is_url

TrackerName = Literal["mlflow", "wandb"]


class DataSetConfig(FrozenConfig):
    """Outcomes to learn from, and the cards of the candidates that made them.

    Attributes:
        questions: questions tables (parquet) of the training instructions.
        outcomes: outcomes table (parquet).
        sources: sources of the outcomes to take; None takes all.
        cards: cards table (parquet).
        tasks: the aptitude test (JSON); its questions are never trained on.
        candidates: candidates to train on; None takes every card.
    """

    questions: tuple[Path, ...] = Field(min_length=1)
    outcomes: Path
    sources: tuple[str, ...] | None = None
    cards: Path
    tasks: Path
    candidates: tuple[str, ...] | None = None

    def absolute(self) -> "DataSetConfig":
        """The same with absolute paths."""
        return self.model_copy(
            update={
                "questions": tuple(path.resolve() for path in self.questions),
                "outcomes": self.outcomes.resolve(),
                "cards": self.cards.resolve(),
                "tasks": self.tasks.resolve(),
            }
        )


class ResourcesConfig(FrozenConfig):
    """What the workers run on.

    Attributes:
        num_workers: data-parallel workers.
        use_gpu: one GPU for each worker.
        accelerator_type: which GPU, by Ray's name of it (``H100``, ``A100-80G``); None takes any.
        cpus_per_worker: CPUs Ray books for each.
        threads_per_worker: threads of each worker's arithmetic.
        max_failures: times a failed run starts again from its last checkpoint.
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
            ``bf16``: weights in bfloat16 with float32 master copies, for large models on GPUs.
        offload_optimizer: master copies and optimizer states in the host's memory, updated by its
            CPUs: 12 bytes for each weight less on the GPUs, and slower steps.
        activation_checkpointing: layers run again in the backward pass in place of keeping what
            they computed: a small part of the memory for a quarter more arithmetic.
    """

    zero_stage: Literal[2, 3] = 2
    precision: Precision = "float32"
    offload_optimizer: bool = False
    activation_checkpointing: bool = False


class TrainJobConfig(FrozenConfig):
    """One training job, from tables to a router directory.

    Attributes:
        name: name of the run; its checkpoints lie under it.
        storage_path: where checkpoints go, shared between the workers: a folder, or a URL that
            pyarrow or fsspec can open (``s3://bucket/folder``).
        router_dir: where the router directory is written.
        trackers: experiment trackers that are told what TensorBoard's event files hold. Their
            packages must be installed; their own environment variables say where they are.
        keep_checkpoints: checkpoints to keep of the best by validation loss; the last one is kept
            besides.
        data: one or more data sets; the router reads the cards of all their aptitude tests.
        model: what the router is made of.
        initial_router: a router directory to go on from with other outcomes: its weights and its
            tokenizer. ``model`` must be what it was made of.
        training: how it is trained.
        resources: what the workers run on.
        deepspeed: how the training state is sharded.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    storage_path: str = Field(min_length=1)
    router_dir: Path
    trackers: tuple[TrackerName, ...] = ()
    keep_checkpoints: int = Field(default=1, ge=1)
    data: tuple[DataSetConfig, ...] = Field(min_length=1)
    model: ModelConfig
    initial_router: Path | None = None
    training: TrainingConfig
    resources: ResourcesConfig = ResourcesConfig()
    deepspeed: DeepSpeedConfig = DeepSpeedConfig()

    @property
    def shared_folder(self) -> Path:
        """Where files lie that every machine reads: beside the router if the storage is a URL."""
        remote = is_url(self.storage_path)
        return self.router_dir.parent if remote else Path(self.storage_path)
