"""Configuration of a router model."""

from typing import Literal

from pydantic import Field

from modelsat.config import FrozenConfig

TINY = "tiny"  # value of base or encoder: a small random model; see write_tiny_parts
Layout = Literal["instruction_first", "capability_first"]


class ModelConfig(FrozenConfig):
    """The parts and limits of a router model.

    Attributes:
        base: hub id or directory of the base model phi, any Hugging Face causal LM or encoder;
            ``tiny``: a small random model created by the training job.
        encoder: hub id or directory of the capability encoder psi (sentence-transformers);
            ``tiny``: a small random model created by the training job.
        layout: ``capability_first`` is the paper's z = [c, x, p]; ``instruction_first`` is
            z = [p, x, c], in which all candidates of an instruction share one forward pass.
        inquiry: the performance inquiry prompt p.
        max_instruction_tokens: longer instructions are truncated for the base model.
        max_encoder_tokens: longer instructions are truncated for the encoder, which only has to
            find their topic; the encoder's own limit also applies.
        dropout: dropout rate of base and encoder in training; None keeps their own rates. With 0,
            attention uses fused kernels, which do not support dropout on CPUs
            (docs/experiments.md).
    """

    base: str
    encoder: str
    layout: Layout = "instruction_first"
    inquiry: str = "Can this model answer the instruction? Answer Yes or No."
    max_instruction_tokens: int = Field(default=256, ge=8)
    max_encoder_tokens: int = Field(default=256, ge=8)
    dropout: float | None = Field(default=None, ge=0, lt=1)
