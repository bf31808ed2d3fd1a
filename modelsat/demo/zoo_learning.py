"""Training one demo candidate, in the calling process."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from modelsat.demo.muon import Muon
from modelsat.demo.tokenizer import MAX_TOKENS, build_tokenizer
from modelsat.demo.zoo_batches import make_batches
from modelsat.demo.zoo_specs import CandidateSpec

HEAD_SIZE = 64  # vLLM's CPU kernels take multiples of 32; 64 was tried
# Peak rates: Muon for the layers' matrices, AdamW for the rest.
_MATRIX_RATE = 1e-2
_OTHER_RATE = 3e-3
_WARM_UP_STEPS = 30
_MAX_NEW_TOKENS = 12


def learn(
    spec: CandidateSpec,
    seed: int,
    directory: Path,
    on_step: Callable[[], None] = lambda: None,
) -> None:
    """Train a candidate and write it as a Hugging Face model directory.

    Args:
        spec: what it knows and how long it learns.
        seed: fixes weights, examples and their order.
        directory: an existing folder to write into.
        on_step: called after each step.
    """
    tokenizer = build_tokenizer()
    network = build_network(tokenizer, spec, seed)
    optimisers = _optimisers(network)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, spec.steps))
        for optimiser in optimisers
    ]
    for batch in make_batches(spec, tokenizer, seed):
        hidden_BLE = network.model(batch.ids_BL).last_hidden_state
        places_BTE = batch.places_BT[..., None].expand(-1, -1, hidden_BLE.shape[-1])
        logits_BTV = network.lm_head(hidden_BLE.gather(1, places_BTE))
        loss = functional.cross_entropy(logits_BTV.flatten(0, 1), batch.targets_BT.flatten())
        network.zero_grad()
        loss.backward()
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        on_step()
    _save(network, tokenizer, directory)


def build_network(
    tokenizer: PreTrainedTokenizerBase, spec: CandidateSpec, seed: int
) -> LlamaForCausalLM:
    """A freshly initialised Llama that fits the tokenizer."""
    config = llama_config(tokenizer, spec.width, spec.num_layers, HEAD_SIZE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).train()


def llama_config(
    tokenizer: PreTrainedTokenizerBase, width: int, num_layers: int, head_size: int
) -> LlamaConfig:
    """Return the shape of a demo candidate's Llama.

    Args:
        tokenizer: its tokenizer.
        width: hidden size, a multiple of the head size.
        num_layers: decoder layers.
        head_size: size of an attention head.
    """
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=num_layers,
        num_attention_heads=width // head_size,
        head_dim=head_size,
        max_position_embeddings=MAX_TOKENS,
        tie_word_embeddings=True,
        initializer_range=0.05,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def greedy_generation(tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
    """Return the generation settings that are saved with a demo candidate."""
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=_MAX_NEW_TOKENS,
        do_sample=False,
    )


def _optimisers(network: LlamaForCausalLM) -> tuple[torch.optim.Optimizer, ...]:
    layers = dict(network.model.layers.named_parameters(prefix="model.layers"))
    matrices = [p for p in layers.values() if p.ndim == 2]
    others = [p for name, p in network.named_parameters() if name not in layers or p.ndim != 2]
    return (
        Muon(matrices, lr=_MATRIX_RATE),
        torch.optim.AdamW(others, lr=_OTHER_RATE, weight_decay=0.01, betas=(0.9, 0.98)),
    )


def _rate(step: int, steps: int) -> float:
    return min((step + 1) / _WARM_UP_STEPS, max(0.02, 1 - step / steps))


def _save(network: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    network.generation_config = greedy_generation(tokenizer)
    network.save_pretrained(directory)
    tokenizer.save_pretrained(str(directory))
