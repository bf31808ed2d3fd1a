"""The vision candidate on disk: trained once, cached by content, with its entry of a zoo file."""

from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.store import atomic_directory
from modelsat.demo.pictures.drawing import PICTURE_SIZE, draw_picture
from modelsat.demo.vision.examples import draw_vision_examples
from modelsat.demo.vision.specs import VISION_CANDIDATE, VisionSpec
from modelsat.demo.zoo import zoo_entry

TRAINER_VERSION = 1  # raise it whenever the same specification would give other weights
_NUM_HASHED_EXAMPLES = 200  # about twenty of each task
ENGINE_KWARGS = {
    # vLLM's own LLaVA imports torchvision, whose builds do not fit a CPU's torch. Its Transformers
    # backend runs the same network without it.
    "model_impl": "transformers",
    # The backend warms up with an image of the stated size, and of 10,000 by 10,000 pixels without
    # one: 2.6 GB instead of 0.9, and 9 CPU-seconds more. Other sizes may be sent; they are resized.
    "limit_mm_per_prompt": {"image": {"count": 1, "width": PICTURE_SIZE, "height": PICTURE_SIZE}},
}


def make_vision_candidate(
    cache_dir: Path,
    seed: int = 0,
    spec: VisionSpec = VISION_CANDIDATE,
    on_step: Callable[[], None] = lambda: None,
) -> Path:
    """Return the directory of a vision candidate, trained if it is not in the cache.

    Args:
        cache_dir: its model directory goes here, named by content hash.
        seed: fixes weights and examples.
        spec: the candidate.
        on_step: called after each training step.
    """
    directory = cache_dir / f"{spec.name}-{_work_hash(spec, seed)}"
    if not directory.is_dir():
        from modelsat.demo.vision.learning import learn_pictures

        with atomic_directory(directory) as temporary:
            learn_pictures(spec, seed, temporary, on_step)
    return directory


def vision_zoo_entry(directory: Path, spec: VisionSpec = VISION_CANDIDATE) -> dict[str, Any]:
    """Return a vision candidate as the zoo file has it, with engine options for a CPU."""
    return zoo_entry(spec.name, spec.usd_per_mtok, directory, ("text", "image"), ENGINE_KWARGS)


def _work_hash(spec: VisionSpec, seed: int) -> str:
    # A change of the questions or of the drawing shows in what the candidate is taught.
    lessons = []
    for example in draw_vision_examples(_NUM_HASHED_EXAMPLES, Random(seed)):
        pixels = draw_picture(example.scene).tobytes() if example.scene else b""
        lessons.append([example.prompt, example.answer, sha256(pixels).hexdigest()])
    return content_hash(
        {"spec": asdict(spec), "seed": seed, "lessons": lessons, "trainer": TRAINER_VERSION}
    )
