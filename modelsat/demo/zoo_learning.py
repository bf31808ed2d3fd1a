"""Training one demo candidate, in the calling process and on one thread."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import GenerationConfig, LlamaForCausalLM

from modelsat.demo.tokenizer import build_tokenizer
from modelsat.demo.zoo_examples import make_batches
from modelsat.demo.zoo_network import answer_logits, build_network
from modelsat.demo.zoo_specs import CandidateSpec

LEARNING_RATE = 3e-3
MUON_RATE = 2e-2
_WARM_UP_STEPS = 30


def learn(
    spec: CandidateSpec, seed: int, directory: Path, progress: Callable[[int], None] | None = None
) -> None:
    """Train a candidate and write it as a Hugging Face model directory.

    Args:
        spec: what it knows and how long it learns.
        seed: fixes weights, examples and their order.
        directory: an existing folder to write into.
        progress: called with the number of finished steps, after every step.
    """
    tokenizer = build_tokenizer()
    network = build_network(tokenizer, num_layers=spec.num_layers, width=spec.width, seed=seed)
    network.train()
    optimisers, schedules = _optimisers(network, spec.steps)
    for step, batch in enumerate(make_batches(spec, tokenizer, seed)):
        logits_BTV = answer_logits(network, batch.ids_BL, batch.places_BT)
        loss = F.cross_entropy(logits_BTV.flatten(0, 1), batch.targets_BT.flatten())
        network.zero_grad()
        loss.backward()
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        if progress is not None:
            progress(step + 1)
    _save(network, tokenizer, directory)


def _optimisers(network, steps):
    matrices = [p for n, p in network.model.layers.named_parameters() if p.ndim == 2]
    rest = [p for n, p in network.named_parameters() if p.ndim != 2 or "layers" not in n]
    muon = torch.optim.Muon(matrices, lr=MUON_RATE, weight_decay=0.01)
    adam = torch.optim.AdamW(rest, lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98))

    def rate(step: int) -> float:
        return min((step + 1) / _WARM_UP_STEPS, max(0.02, 1 - step / steps))

    both = (muon, adam)
    return both, [torch.optim.lr_scheduler.LambdaLR(o, rate) for o in both]


def _save(network: LlamaForCausalLM, tokenizer, directory: Path) -> None:
    network.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=8,
        do_sample=False,
    )
    network.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
