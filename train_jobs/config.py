"""One training job."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from modelsat.config import FrozenConfig
from modelsat.modeling.config import ModelConfig
from modelsat.training.config import TrainingConfig


class DataConfig(FrozenConfig):
    """What the router learns from.

    Attributes:
        questions: questions tables (parquet) of the training instructions.
        outcomes: outcomes table (parquet).
        cards: cards table (parquet).
        tasks: the aptitude test (JSON); its questions are never trained on.
        candidates: candidates to train on; None takes every card.
    """

    questions: tuple[Path, ...] = Field(min_length=1)
    outcomes: Path
    cards: Path
    tasks: Path
    candidates: tuple[str, ...] | None = None


class ResourcesConfig(FrozenConfig):
    """What the workers run on.

    Attributes:
        num_workers: data-parallel workers.
        use_gpu: one GPU for each worker.
        cpus_per_worker: CPUs Ray books for each.
        threads_per_worker: threads of each worker's arithmetic.
        max_failures: times a failed run starts again from its last checkpoint.
    """

    num_workers: int = Field(default=2, ge=1)
    use_gpu: bool = False
    cpus_per_worker: float = Field(default=1, gt=0)
    threads_per_worker: int = Field(default=1, ge=1)
    max_failures: int = Field(default=1, ge=0)


class DeepSpeedConfig(FrozenConfig):
    """How DeepSpeed shards the training state.

    Attributes:
        zero_stage: 2 shards optimizer state and gradients, 3 the weights too.
        bf16: compute in bfloat16 with float32 master weights; needs a GPU of that kind.
    """

    zero_stage: Literal[2, 3] = 2
    bf16: bool = False


class TrainJobConfig(FrozenConfig):
    """One training job, from tables to a router directory.

    Attributes:
        name: name of the run; its checkpoints lie under it.
        storage_path: where checkpoints go; shared between the workers.
        router_dir: where the router directory is written.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    storage_path: Path
    router_dir: Path
    data: DataConfig
    model: ModelConfig
    training: TrainingConfig
    resources: ResourcesConfig = ResourcesConfig()
    deepspeed: DeepSpeedConfig = DeepSpeedConfig()
