"""Build the router model without weights: parameter names and shapes from configurations only.

Used for planning: downloads only two ``config.json``, and needs no memory under
``torch.device("meta")`` or a fake-tensor mode.
"""

import torch
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from modelsat.modeling.config import TINY, ModelConfig
from modelsat.modeling.loading import load_config, set_dropout
from modelsat.modeling.model import ModelSat
from modelsat.modeling.tiny import base_config, encoder_config
from modelsat.training.adapters import add_adapters
from modelsat.training.config import LoraConfig


def build_shapes(config: ModelConfig, dtype: torch.dtype = torch.float32) -> ModelSat:
    """Build the network of :func:`modelsat.modeling.loading.build_model` with random weights.

    Its parameters have the same names, shapes and order. It is on torch's current device.

    Args:
        config: model configuration; its directories need only ``config.json``.
        dtype: dtype of the parameters.

    Raises:
        ArtifactError: the configuration of base or encoder cannot be read.
    """
    base = _base_shapes(config.base, dtype)
    encoder = _Encoder(AutoModel.from_config(_encoder_config(config.encoder), dtype=dtype))
    if config.dropout is not None:
        set_dropout(base, config.dropout)
        set_dropout(encoder, config.dropout)
    default_dtype = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        readout_2D = torch.zeros(2, base.get_input_embeddings().embedding_dim)
        return ModelSat(base, encoder, readout_2D, layout=config.layout, num_leading=1)
    finally:
        torch.set_default_dtype(default_dtype)


def check_adapters(source: str, lora: LoraConfig) -> None:
    """Check from a base model's configuration that adapters can be added.

    Args:
        source: hub id or directory of the base model.
        lora: the adapters.

    Raises:
        ArtifactError: the base model's configuration cannot be read.
        ConfigError: the base model does not have these layers.
        MachineError: peft is not installed.
    """
    with torch.device("meta"):
        add_adapters(_base_shapes(source), lora, seed=0)


class _Encoder(nn.Sequential):
    """A SentenceTransformer with mean pooling, but no tokenizer and no change of device."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.width = int(model.config.hidden_size)
        super().__init__(_Transformer(model), Pooling(self.width, pooling_mode="mean"), Normalize())

    def get_embedding_dimension(self) -> int:
        return self.width


class _Transformer(nn.Module):
    """Mirrors the sentence-transformers module of this name, including the name ``model``."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        hidden = self.model(
            input_ids=features["input_ids"], attention_mask=features["attention_mask"]
        ).last_hidden_state
        return {**features, "token_embeddings": hidden}


def _base_shapes(source: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    configuration = base_config() if source == TINY else load_config("base model", source)
    model: PreTrainedModel = AutoModel.from_config(configuration, dtype=dtype)
    return model


def _encoder_config(source: str) -> PretrainedConfig:
    return encoder_config() if source == TINY else load_config("capability encoder", source)
