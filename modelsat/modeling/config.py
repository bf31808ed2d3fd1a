"""What a router model is made of."""

from typing import Literal

from pydantic import Field

from modelsat.config import FrozenConfig

Layout = Literal["instruction_first", "capability_first"]


class ModelConfig(FrozenConfig):
    """One router model.

    Attributes:
        base: hub id or directory of the base model phi, any Hugging Face causal LM or encoder;
            ``tiny``: a small random one made by the training job.
        encoder: hub id or directory of the capability encoder psi (sentence-transformers);
            ``tiny``: a small random one made by the training job.
        layout: ``capability_first`` is the paper's z = [c, x, p]; ``instruction_first`` is
            z = [p, x, c], in which all candidates of an instruction share one pass.
        inquiry: the performance inquiry prompt p.
        max_instruction_tokens: the base model reads the first tokens of longer instructions.
        max_encoder_tokens: the encoder, which only has to find what an instruction is about, reads
            this many; the encoder's own limit still holds.
        dropout: rate in all of base and encoder while they train; None keeps their own. With 0
            attention runs on fused kernels, which on CPUs have no dropout (docs/experiments.md).
    """

    base: str
    encoder: str
    layout: Layout = "instruction_first"
    inquiry: str = "Can this model answer the instruction? Answer Yes or No."
    max_instruction_tokens: int = Field(default=256, ge=8)
    max_encoder_tokens: int = Field(default=256, ge=8)
    dropout: float | None = Field(default=None, ge=0, lt=1)
