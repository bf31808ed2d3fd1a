"""Building a router model from its parts: hub ids or local directories.

Remote code is never run, and weights are read from safetensors only.
"""

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from modelsat.errors import ArtifactError, ConfigError
from modelsat.modeling.config import ModelConfig
from modelsat.modeling.model import ModelSat
from modelsat.modeling.tokenization import InstructionTokenizer

_ANSWERS = ("Yes", "No")


def build_model(config: ModelConfig, seed: int) -> tuple[ModelSat, InstructionTokenizer]:
    """Load base and encoder, and start connector and read-out.

    The read-out takes the rows of "Yes" and "No" from the base's own output embeddings, or from
    its input embeddings where it has no language-model head.

    Args:
        config: what the router is made of.
        seed: seeds the connector's random start.

    Raises:
        ArtifactError: base or encoder cannot be loaded.
        ConfigError: the base's attention cannot be expressed in this layout.
    """
    tokenizer = load_tokenizer(config.base)
    base, rows_VD = _load_base(config.base)
    readout_2D = torch.stack([_answer_row(tokenizer, rows_VD, word) for word in _ANSWERS])
    encoder = load_encoder(config.encoder)
    return assemble_model(config, base, encoder, tokenizer, readout_2D, seed)


def assemble_model(
    config: ModelConfig,
    base: PreTrainedModel,
    encoder: SentenceTransformer,
    tokenizer: PreTrainedTokenizerBase,
    readout_2D: Tensor,
    seed: int,
) -> tuple[ModelSat, InstructionTokenizer]:
    """Join loaded parts; the connector starts from the seed alone."""
    _check_attention(config, base)
    if config.dropout is not None:
        set_dropout(base, config.dropout)
        set_dropout(encoder, config.dropout)
    longest = encoder.max_seq_length or config.max_encoder_tokens
    encoder.max_seq_length = min(longest, config.max_encoder_tokens)
    instruction_tokenizer = InstructionTokenizer(tokenizer, encoder, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ModelSat(
            base,
            encoder,
            readout_2D,
            layout=config.layout,
            num_leading=instruction_tokenizer.num_leading,
        )
    return model, instruction_tokenizer


def load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """Load a tokenizer; raises ArtifactError in one line."""
    try:
        return AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise _load_error("tokenizer", source, error) from None


def load_backbone(source: str) -> PreTrainedModel:
    """Load a model without its head, in float32; raises ArtifactError in one line."""
    try:
        model = AutoModel.from_pretrained(
            source, dtype=torch.float32, use_safetensors=True, **_without_pooler(source)
        )
    except (OSError, ValueError) as error:
        raise _load_error("base model", source, error) from None
    return model


def load_encoder(source: str) -> SentenceTransformer:
    """Load the capability encoder, in float32; raises ArtifactError in one line."""
    try:
        return SentenceTransformer(
            source,
            device="cpu",
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )
    except (OSError, ValueError) as error:
        raise _load_error("capability encoder", source, error) from None


def load_config(what: str, source: str) -> PretrainedConfig:
    """Read a part's own configuration; raises ArtifactError, which names the part, in one line."""
    try:
        return AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise _load_error(what, source, error) from None


def set_dropout(model: nn.Module, dropout: float) -> None:
    """Set every dropout rate of a model."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
        # Attention that calls a fused kernel keeps its rate as a number.
        if isinstance(getattr(module, "attention_dropout", None), float):
            setattr(module, "attention_dropout", dropout)  # noqa: B010 - no attribute mypy knows


def _load_base(source: str) -> tuple[PreTrainedModel, Tensor]:
    """The base without head, and the rows [V, D] its answers are read with."""
    config = load_config("base model", source)
    if not any("CausalLM" in name for name in config.architectures or []):
        backbone = load_backbone(source)
        return backbone, backbone.get_input_embeddings().weight.detach()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise _load_error("base model", source, error) from None
    return model.base_model, model.get_output_embeddings().weight.detach()


def _without_pooler(source: str) -> dict[str, bool]:
    # An unused pooler would be trained, saved and never read.
    is_bert = AutoConfig.from_pretrained(source).model_type == "bert"
    return {"add_pooling_layer": False} if is_bert else {}


def _answer_row(tokenizer: PreTrainedTokenizerBase, rows_VD: Tensor, word: str) -> Tensor:
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    return rows_VD[ids].mean(0)


def _check_attention(config: ModelConfig, base: PreTrainedModel) -> None:
    layer_types = set(getattr(base.config, "layer_types", None) or [])
    local_attention = getattr(base.config, "local_attention", None)
    if config.layout == "instruction_first" and (len(layer_types) > 1 or local_attention):
        raise ConfigError(
            f"base model {config.base!r} mixes attention windows between its layers, which one "
            "mask cannot express; use layout: capability_first or another base model"
        )


def _load_error(what: str, source: str, error: Exception) -> ArtifactError:
    reason = " ".join(str(error).split())[:300]
    return ArtifactError(
        f"cannot load {what} {source!r}: {reason}; give a Hugging Face directory with "
        "safetensors weights, or a hub id that can be reached"
    )
