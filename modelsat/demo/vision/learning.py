"""Training the vision candidate, in the calling process."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import Parameter, functional
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from modelsat.demo.muon import Muon
from modelsat.demo.vision.alignment import Alignment
from modelsat.demo.vision.batches import VisionBatch, make_vision_batches, to_pixels
from modelsat.demo.vision.examples import draw_picture_example
from modelsat.demo.vision.network import build_network, build_processor
from modelsat.demo.vision.specs import VisionSpec
from modelsat.demo.vision.tokenizer import build_vision_tokenizer
from modelsat.demo.zoo_learning import greedy_generation

# Peak rates: Muon for the matrices of tower, projector and layers, AdamW for the rest.
_MATRIX_RATE = 2e-2
_OTHER_RATE = 1e-2
# What the alignment trains: tower, projector and the vectors of the words.
_ALIGNED = ("model.vision_tower", "model.multi_modal_projector", "model.language_model.embed")
_WARM_UP_STEPS = 30


def learn_pictures(
    spec: VisionSpec,
    seed: int,
    directory: Path,
    on_step: Callable[[], None] = lambda: None,
) -> None:
    """Train a vision candidate and write it as a Hugging Face model directory.

    Args:
        spec: how long it learns, and its sizes.
        seed: fixes weights, examples and their order.
        directory: an existing folder to write into.
        on_step: called after each step.
    """
    processor = build_processor(build_vision_tokenizer())
    network = build_network(processor.tokenizer, spec, seed)
    # The tower's last norm has no effect: LLaVA reads what comes before it.
    network.model.vision_tower.post_layernorm.requires_grad_(False)
    alignment = Alignment(processor.tokenizer)
    naming = _alignment_losses(network, alignment, spec, seed)
    _train(_named_weights(network, _ALIGNED), naming, spec.alignment_steps, on_step)
    answering = _answer_losses(network, processor, alignment, spec, seed)
    _train(_named_weights(network), answering, spec.steps, on_step)
    _save(network, processor, directory)


def answer_logits(
    network: LlavaForConditionalGeneration, batch: VisionBatch
) -> tuple[Tensor, Tensor | None]:
    """Return the logits of answer tokens and the features of the pictures.

    Args:
        network: the candidate.
        batch: B examples with T answer tokens; S of them have a picture.

    Returns:
        Logits [B, T, V] and the projector's outputs [S, P, E], None without a picture.
    """
    pixels = batch.pixels_SCHW if batch.scenes else None
    output = network.model(input_ids=batch.texts.ids_BL, pixel_values=pixels)
    hidden_BLE = output.last_hidden_state
    places_BTE = batch.texts.places_BT[..., None].expand(-1, -1, hidden_BLE.shape[-1])
    logits_BTV = network.lm_head(hidden_BLE.gather(1, places_BTE))
    if output.image_hidden_states is None:
        return logits_BTV, None
    return logits_BTV, output.image_hidden_states.unflatten(0, (len(batch.scenes), -1))


def _alignment_losses(
    network: LlavaForConditionalGeneration, alignment: Alignment, spec: VisionSpec, seed: int
) -> Iterable[Tensor]:
    rng = Random(f"alignment|{spec.name}|{seed}")
    for _ in range(spec.alignment_steps):
        drawn = [draw_picture_example(rng).scene for _ in range(spec.batch_size)]
        scenes = [scene for scene in drawn if scene is not None]
        features = network.get_image_features(pixel_values=to_pixels(scenes)).pooler_output
        yield alignment.loss(network, torch.stack(features), scenes)


def _answer_losses(
    network: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    alignment: Alignment,
    spec: VisionSpec,
    seed: int,
) -> Iterable[Tensor]:
    for step, batch in enumerate(make_vision_batches(spec, processor.tokenizer, seed)):
        logits_BTV, features_SPE = answer_logits(network, batch)
        targets = batch.texts.targets_BT
        loss = functional.cross_entropy(logits_BTV.flatten(0, 1), targets.flatten())
        # The labels of the patches matter less from step to step, and not in the second half.
        weight = max(0.05, 1 - 2 * step / spec.steps)
        if features_SPE is not None:
            loss = loss + weight * alignment.loss(network, features_SPE, batch.scenes)
        yield loss


def _named_weights(
    network: LlavaForConditionalGeneration, parts: tuple[str, ...] = ("",)
) -> dict[str, Parameter]:
    """Return the weights that are trained, of the parts whose names begin so."""
    return {
        name: weight
        for name, weight in network.named_parameters()
        if weight.requires_grad and name.startswith(parts)
    }


def _train(
    weights: Mapping[str, Parameter],
    losses: Iterable[Tensor],
    steps: int,
    on_step: Callable[[], None],
) -> None:
    optimisers = _optimisers(weights)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
        for optimiser in optimisers
    ]
    for loss in losses:
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        on_step()


def _optimisers(weights: Mapping[str, Parameter]) -> tuple[torch.optim.Optimizer, ...]:
    matrices = [
        weight
        for name, weight in weights.items()
        if weight.ndim > 1 and "embed_tokens" not in name and "position" not in name
    ]
    others = [weight for weight in weights.values() if not any(weight is it for it in matrices)]
    return (
        Muon(matrices, lr=_MATRIX_RATE),
        torch.optim.AdamW(others, lr=_OTHER_RATE, weight_decay=0.01, betas=(0.9, 0.98)),
    )


def _rate(step: int, steps: int) -> float:
    return min((step + 1) / _WARM_UP_STEPS, max(0.02, 1 - step / steps))


def _save(
    network: LlavaForConditionalGeneration, processor: LlavaProcessor, directory: Path
) -> None:
    network.generation_config = greedy_generation(processor.tokenizer)
    network.save_pretrained(directory)
    processor.save_pretrained(str(directory))
