"""Both layouts agree with a plain Hugging Face pass per candidate."""

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaModel,
    MistralConfig,
    MistralModel,
    Phi3Config,
    Phi3Model,
    PreTrainedModel,
    Qwen2Config,
    Qwen2Model,
    Qwen3Config,
    Qwen3Model,
    RobertaConfig,
    RobertaModel,
)

from modelsat.modeling.layouts import BaseInputs, capability_first, instruction_first
from modelsat.modeling.model import is_causal_model
from modelsat.modeling.shared_prefix import shares_prefix, use_shared_prefix

WIDTH = 32
LENGTHS = (5, 11, 8)
NUM_CANDIDATES = 4
WINDOW = 4
TOLERANCE = 1e-4
SHARED = {
    "vocab_size": 50,
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def make_base(kind: str, attention: str) -> PreTrainedModel:
    """A random base model of a type."""
    torch.manual_seed(0)
    if kind == "bert":
        config = BertConfig(**SHARED, attn_implementation=attention)
        return BertModel(config, add_pooling_layer=False).eval()
    if kind == "llama":
        return LlamaModel(LlamaConfig(**SHARED, attn_implementation=attention)).eval()
    return Phi3Model(
        Phi3Config(
            **SHARED,
            num_key_value_heads=4,
            sliding_window=WINDOW,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            attn_implementation=attention,
        )
    ).eval()


@pytest.fixture(params=["bert", "llama", "phi3-with-sliding-window"])
def kind(request: pytest.FixtureRequest) -> str:
    """Types of base model."""
    return str(request.param)


@pytest.fixture(params=["sdpa", "eager"])
def base(request: pytest.FixtureRequest, kind: str) -> PreTrainedModel:
    """A base model with each attention implementation."""
    return make_base(kind, request.param)


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Padded embeddings [B, S, D], their mask [B, S], capability tokens [B, M, D]."""
    generator = torch.Generator().manual_seed(1)
    embeds = torch.randn(len(LENGTHS), max(LENGTHS), WIDTH, generator=generator)
    mask = torch.tensor([[int(i < length) for i in range(max(LENGTHS))] for length in LENGTHS])
    tokens = torch.randn(len(LENGTHS), NUM_CANDIDATES, WIDTH, generator=generator)
    return embeds, mask, tokens


def make_grouped_base(kind: str) -> PreTrainedModel:
    """A random base model of a type, with grouped-query attention: two heads per key."""
    torch.manual_seed(0)
    grouped = {**SHARED, "num_key_value_heads": 2, "attn_implementation": "sdpa"}
    if kind == "llama":
        return LlamaModel(LlamaConfig(**grouped)).eval()
    if kind == "mistral-with-sliding-window":
        return MistralModel(MistralConfig(**grouped, sliding_window=WINDOW)).eval()
    if kind == "qwen2":
        return Qwen2Model(Qwen2Config(**grouped)).eval()
    return Qwen3Model(Qwen3Config(**grouped, head_dim=8)).eval()


def read_out(base: PreTrainedModel, z: BaseInputs) -> np.ndarray:
    """Hidden states at the answer positions, [B, M, D]."""
    with torch.no_grad():
        hidden = base(
            inputs_embeds=z.inputs_embeds,
            attention_mask=z.attention_mask,
            position_ids=z.position_ids,
        ).last_hidden_state
    sequence, position = z.readout_index.unbind(-1)
    return hidden[sequence, position].numpy()


def reference_pass(base: PreTrainedModel, z_LD: torch.Tensor, hides_last: bool) -> np.ndarray:
    """Run an unpadded sequence through the model; return its last hidden state.

    With ``hides_last`` no earlier token may see the last one, as a causal model has it anyway.
    """
    mask = None
    if hides_last and not is_causal_model(base):
        mask = torch.zeros(1, 1, len(z_LD), len(z_LD))
        mask[..., :-1, -1] = torch.finfo(torch.float32).min
    with torch.no_grad():
        output = base(inputs_embeds=z_LD[None], attention_mask=mask)
    return output.last_hidden_state[0, -1].numpy()


def test_instruction_first_equals_a_pass_per_candidate(base, inputs):
    embeds, mask, tokens = inputs
    z = instruction_first(
        embeds,
        mask,
        tokens,
        is_causal=is_causal_model(base),
        sliding_window=getattr(base.config, "sliding_window", None),
    )
    got = read_out(base, z)
    for b, length in enumerate(LENGTHS):
        for m in range(NUM_CANDIDATES):
            alone = torch.cat([embeds[b, :length], tokens[b, m : m + 1]])
            expected = reference_pass(base, alone, hides_last=True)
            assert np.abs(got[b, m] - expected).max() <= TOLERANCE


@pytest.mark.parametrize(
    "kind",
    [
        "bert",
        "phi3-with-sliding-window",
        "llama",
        "mistral-with-sliding-window",
        "qwen2",
        "qwen3",
    ],
)
def test_attention_of_a_shared_prefix_equals_a_pass_per_candidate(kind, inputs):
    embeds, mask, tokens = inputs
    ungrouped = kind in ("bert", "phi3-with-sliding-window")
    base = make_base(kind, "sdpa") if ungrouped else make_grouped_base(kind)
    expected = [
        reference_pass(base, torch.cat([embeds[b, :length], tokens[b, m : m + 1]]), hides_last=True)
        for b, length in enumerate(LENGTHS)
        for m in range(NUM_CANDIDATES)
    ]
    use_shared_prefix(base)
    assert shares_prefix(base)
    z = instruction_first(
        embeds,
        mask,
        tokens,
        is_causal=is_causal_model(base),
        sliding_window=getattr(base.config, "sliding_window", None),
        shares_prefix=True,
    )
    got = read_out(base, z).reshape(-1, WIDTH)
    assert np.abs(got - np.stack(expected)).max() <= TOLERANCE


def test_unsupported_model_type_keeps_its_attention():
    base = RobertaModel(RobertaConfig(**SHARED, attn_implementation="sdpa"))
    use_shared_prefix(base)
    assert not shares_prefix(base)


@pytest.mark.parametrize("num_leading", [0, 1])
def test_capability_first_equals_a_pass_per_candidate(base, inputs, num_leading):
    embeds, mask, tokens = inputs
    got = read_out(base, capability_first(embeds, mask, tokens, num_leading))
    for b, length in enumerate(LENGTHS):
        for m in range(NUM_CANDIDATES):
            text = embeds[b, :length]
            alone = torch.cat([text[:num_leading], tokens[b, m : m + 1], text[num_leading:]])
            expected = reference_pass(base, alone, hides_last=False)
            assert np.abs(got[b, m] - expected).max() <= TOLERANCE


def test_capability_tokens_do_not_attend_to_each_other(base, inputs):
    embeds, mask, tokens = inputs
    options = {
        "is_causal": is_causal_model(base),
        "sliding_window": getattr(base.config, "sliding_window", None),
    }
    together = read_out(base, instruction_first(embeds, mask, tokens, **options))
    changed = tokens.clone()
    changed[:, 1:] *= -1
    apart = read_out(base, instruction_first(embeds, mask, changed, **options))
    assert np.abs(together[:, 0] - apart[:, 0]).max() <= TOLERANCE
    assert np.abs(together[:, 1] - apart[:, 1]).max() > TOLERANCE


@pytest.mark.parametrize(("name", "expected"), [("bert", False), ("llama", True), ("phi3", True)])
def test_detects_causal_models(name, expected):
    assert is_causal_model(make_base(name, "sdpa")) is expected
