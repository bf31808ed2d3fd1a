"""How a router is trained."""

from typing import Literal

from pydantic import Field

from modelsat.config import FrozenConfig

StageName = Literal["connector", "all"]
# float32; autocast: weights in float32, matrix products in bfloat16; bf16: weights in bfloat16,
# with float32 master copies in the optimizer.
Precision = Literal["float32", "autocast", "bf16"]


class StageConfig(FrozenConfig):
    """One stage of training.

    Attributes:
        epochs: passes over the training instructions.
        max_steps: steps after which an epoch ends early; None takes every instruction. The
            connector alone learns in a fraction of a pass.
        learning_rate: peak rate of the base model and read-out.
        capability_learning_rate: peak rate of the encoder and connector; the paper's is larger.
        patience: epochs without a lower validation loss after which the stage ends, with the
            weights of its best epoch; None runs all epochs and takes the last.
    """

    epochs: int = Field(ge=1)
    max_steps: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(gt=0)
    capability_learning_rate: float = Field(gt=0)
    patience: int | None = Field(default=None, ge=1)


class LossConfig(FrozenConfig):
    """Weights of the loss terms.

    Attributes:
        group_size: instructions of a group: 1 positive and the rest negative (paper: 4).
        in_batch_weight: weight of the paper's in-batch loss (Eq. 5).
        pointwise_weight: weight of the per-answer term that makes scores comparable between
            candidates, which Eq. 5 alone cannot (docs/decisions).
        ordering_weight: weight of the term that orders the candidates of one instruction.
        strength_exponent: a candidate's outcomes and groups count by its accuracy, as its card
            tells it, to this power; 0 counts all candidates alike (paper: stronger candidates are
            sampled with more weight; it does not say how much).
        alignment_weight: weight of the term that teaches the encoder which statement an
            instruction of a core task belongs to (docs/experiments.md).
    """

    group_size: int = Field(default=4, ge=2)
    in_batch_weight: float = Field(default=1.0, ge=0)
    pointwise_weight: float = Field(default=1.0, ge=0)
    ordering_weight: float = Field(default=0.0, ge=0)
    strength_exponent: float = Field(default=0.0, ge=0)
    alignment_weight: float = Field(default=1.0, ge=0)


class LoraConfig(FrozenConfig):
    """Low-rank adapters in place of the base model's own weights (Hu et al., "LoRA", 2021).

    Attributes:
        rank: of the product that an adapter adds to its layer's weight.
        alpha: the product is scaled by ``alpha / rank``.
        dropout: rate on what an adapter reads while it trains; the base model's own rates stay.
        target_modules: which linear layers get one, by the last parts of their names
            (``[q_proj, v_proj]``); ``all-linear`` is every one, of whatever base model. With fewer
            full training is not matched (Dettmers et al., "QLoRA", 2023, figure 2).
    """

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"


class TrainingConfig(FrozenConfig):
    """One training run, whatever executes it.

    Attributes:
        seed: seeds order, groups, composites and the connector's start.
        batch_size: instructions a worker sees in one pass.
        gradient_accumulation_steps: passes of each worker before the weights move; a step takes
            ``batch_size * gradient_accumulation_steps`` instructions of each worker.
        composites: composite candidates added to the real ones at each step.
        validation_fraction: share of the instructions kept apart for validation and calibration.
        validation_instructions: most validation instructions of each data set that are used; they
            are in memory, drawn from those kept apart.
        validate_every_steps: steps between two looks at the validation instructions within an
            epoch; None looks at its end only. Changes no weight.
        effect_instructions: training instructions of each data set on which difficulty and the
            effects of known cards are fitted once the network is trained.
        warmup_fraction: share of a stage's steps in which the rates rise from 0; after it they
            fall linearly to 0.
        max_grad_norm: gradients are scaled down to this norm.
        weight_decay: AdamW's, for matrices only.
        frozen_layers: lowest layers of base and encoder that stay as they are, embeddings with
            them; None trains everything. Their backward pass is saved: with half of MiniLM's
            layers a step takes 1.65 s in place of 1.9 (docs/experiments.md).
        lora: adapters that train in stage 2 in place of the base model's own weights; None trains
            these. The router is the same either way: adapters end in the weights.
        loss: weights of the loss terms.
        connector_stage: stage 1, only the connector trains.
        all_stage: stage 2, everything trains that is not frozen.
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
        """The settings of a stage."""
        return self.connector_stage if name == "connector" else self.all_stage
