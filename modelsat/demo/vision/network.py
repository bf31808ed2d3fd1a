"""The vision candidate's network and processor: LLaVA's parts, small enough for two cores.

A SigLIP tower reads one patch per cell of a picture's grid, a projector maps each patch to the
width of a Llama, and the Llama reads the patches before the question.

Sources:
    Liu et al., "Visual Instruction Tuning", 2023 (LLaVA); Zhai et al., "Sigmoid Loss for Language
    Image Pre-Training", 2023 (SigLIP).
"""

from typing import TYPE_CHECKING

import torch
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    SiglipVisionConfig,
)

# The PIL version, by its module: the package offers the one that needs torchvision.
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from modelsat.demo.pictures.drawing import BACKGROUND, PICTURE_SIZE
from modelsat.demo.pictures.scenes import GRID
from modelsat.demo.vision.specs import VisionSpec
from modelsat.demo.vision.tokenizer import CHAT_TEMPLATE, IMAGE
from modelsat.demo.zoo_learning import llama_config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PATCH_SIZE = PICTURE_SIZE // GRID  # pixels
NUM_PATCHES = GRID * GRID  # image tokens of a picture
HEAD_SIZE = 32  # vLLM's CPU kernels take multiples of 32
# Background pixels become zero, which halves the steps that the tower needs.
PIXEL_MEAN = BACKGROUND[0] / 255
PIXEL_DEVIATION = 0.5
_VISION_HEAD_SIZE = 64


def build_processor(tokenizer: "PreTrainedTokenizerBase") -> LlavaProcessor:
    """Return the processor that turns chats and pictures into tokens and pixels."""
    size = {"height": PICTURE_SIZE, "width": PICTURE_SIZE}
    images = SiglipImageProcessorPil(
        size=size,
        crop_size=size,  # LlavaProcessor counts an image's tokens by it; nothing is cropped
        image_mean=[PIXEL_MEAN] * 3,
        image_std=[PIXEL_DEVIATION] * 3,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="full",
        image_token=IMAGE,
        chat_template=CHAT_TEMPLATE,
    )


def build_network(
    tokenizer: "PreTrainedTokenizerBase", spec: VisionSpec, seed: int
) -> LlavaForConditionalGeneration:
    """Return a freshly initialised LLaVA that fits the tokenizer."""
    vision = SiglipVisionConfig(
        hidden_size=spec.vision_width,
        intermediate_size=2 * spec.vision_width,
        num_hidden_layers=1,
        num_attention_heads=spec.vision_width // _VISION_HEAD_SIZE,
        image_size=PICTURE_SIZE,
        patch_size=PATCH_SIZE,
        vision_use_head=False,  # the pooling head has no use here, and vLLM fails in it
    )
    text = llama_config(tokenizer, spec.width, spec.num_layers, HEAD_SIZE)
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=NUM_PATCHES,
        vision_feature_select_strategy="full",  # SigLIP has no class token to drop
        vision_feature_layer=-1,
        tie_word_embeddings=True,
        initializer_range=0.05,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlavaForConditionalGeneration(config).train()
