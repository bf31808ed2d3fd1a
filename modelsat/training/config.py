"""Configuration of router training."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from modelsat.config import FrozenConfig

StageName = Literal["connector", "all"]
STAGES: tuple[StageName, ...] = ("connector", "all")
# autocast: float32 weights, bfloat16 matrix products; bf16: bfloat16 weights, with float32 master
# copies in the optimizer.
Precision = Literal["float32", "autocast", "bf16"]


_REMOVED = frozenset({"ordering_weight", "strength_exponent"})  # former fields of LossConfig


class StageConfig(FrozenConfig):
    """Configuration of a training stage.

    Attributes:
        epochs: passes over the training instructions.
        max_steps: steps after which an epoch ends early; None uses every instruction. The
            connector alone converges in a fraction of an epoch.
        learning_rate: peak rate of the base model and read-out.
        capability_learning_rate: peak rate of the encoder and connector; larger in the paper.
        patience: epochs without a lower validation loss after which the stage stops early and
            restores its best epoch; None runs all epochs and keeps the last.
    """

    epochs: int = Field(ge=1)
    max_steps: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(gt=0)
    capability_learning_rate: float = Field(gt=0)
    patience: int | None = Field(default=None, ge=1)


class LossConfig(FrozenConfig):
    """Weights of the loss terms.

    Attributes:
        group_size: instructions per group: 1 positive, the rest negative (paper: 4).
        in_batch_weight: weight of the paper's in-batch loss (Eq. 5).
        pointwise_weight: weight of the per-answer term that makes scores comparable between
            candidates, which Eq. 5 alone cannot (docs/decisions).
        alignment_weight: weight of the term that teaches the encoder which statement an
            instruction of a core task belongs to (docs/experiments.md).
    """

    group_size: int = Field(default=4, ge=2)
    in_batch_weight: float = Field(default=1.0, ge=0)
    pointwise_weight: float = Field(default=1.0, ge=0)
    alignment_weight: float = Field(default=1.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _refuse_removed(cls, values: Any) -> Any:
        removed = _REMOVED.intersection(values) if isinstance(values, dict) else ()
        if removed:
            raise ValueError(
                f"{' and '.join(sorted(removed))} was removed, because it did not help on real "
                "outcomes (docs/experiments.md); delete it from the configuration"
            )
        return values


class LoraConfig(FrozenConfig):
    """Low-rank adapters for the base model (Hu et al., "LoRA", 2021).

    Attributes:
        rank: rank of an adapter.
        alpha: adapters are scaled by ``alpha / rank``.
        dropout: dropout rate on an adapter's input; the base model's own rates are unchanged.
        target_modules: linear layers that get an adapter, by the last part of their names
            (``[q_proj, v_proj]``); ``all-linear`` selects every linear layer of any base model.
            Fewer do not match full training (Dettmers et al., "QLoRA", 2023, figure 2).
    """

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"


class TrainingConfig(FrozenConfig):
    """Configuration of a training run, independent of the engine.

    Attributes:
        seed: seeds order, groups, composites and the connector's initialisation.
        batch_size: instructions per worker and forward pass.
        gradient_accumulation_steps: passes of each worker per optimizer step; a step uses
            ``batch_size * gradient_accumulation_steps`` instructions of each worker.
        composites: composite candidates added to the real candidates at each step.
        validation_fraction: share of the instructions reserved for validation and calibration.
        validation_instructions: maximum number of validation instructions per dataset, drawn
            at random and held in memory.
        validate_every_steps: steps between validations within an epoch; None validates only at
            its end. Does not affect the weights.
        effect_instructions: training instructions of each dataset on which difficulty and the
            effects of known cards are fitted after the network is trained.
        warmup_fraction: share of a stage's steps in which the rates rise from 0; afterwards they
            decay linearly to 0.
        max_grad_norm: gradients are clipped to this norm.
        weight_decay: AdamW's weight decay, for matrices only.
        frozen_layers: number of lowest layers of base and encoder that are frozen, with the
            embeddings; None trains everything. Saves their backward pass: with half of MiniLM's
            layers a step takes 1.65 s instead of 1.9 (docs/experiments.md).
        lora: adapters that train in stage 2 instead of the base model's weights; None trains the
            weights. Adapters are merged into the weights, so the router has the same format.
        loss: weights of the loss terms.
        connector_stage: stage 1, trains only the connector.
        all_stage: stage 2, trains everything that is not frozen.
    """

    seed: int = 0
    batch_size: int = Field(default=32, ge=1)
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    composites: int = Field(default=16, ge=0)
    validation_fraction: float = Field(default=0.15, gt=0, lt=1)
    validation_instructions: int = Field(default=20_000, ge=1)
    validate_every_steps: int | None = Field(default=None, ge=1)
    effect_instructions: int = Field(default=4000, ge=1)
    warmup_fraction: float = Field(default=0.1, ge=0, lt=1)
    max_grad_norm: float = Field(default=1.0, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    frozen_layers: int | None = Field(default=None, ge=0)
    lora: LoraConfig | None = None
    loss: LossConfig = LossConfig()
    connector_stage: StageConfig
    all_stage: StageConfig

    def stage(self, name: StageName) -> StageConfig:
        """Return the configuration of a stage."""
        return self.connector_stage if name == "connector" else self.all_stage


def count_steps(sizes: Sequence[int], stride: int, max_steps: int | None = None) -> int:
    """Return the number of steps of an epoch.

    Args:
        sizes: instructions of each source.
        stride: instructions per step.
        max_steps: steps after which an epoch ends; None: after every instruction.
    """
    steps = sum(max(1, size // stride) for size in sizes)
    return steps if max_steps is None else min(steps, max_steps)
