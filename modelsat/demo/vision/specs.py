"""The vision candidate of the demo: what it learns and how long."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VisionSpec:
    """A candidate that answers questions about pictures.

    Attributes:
        name: name in the zoo.
        alignment_steps: steps that train the tower to name what each cell of a picture shows.
        steps: steps that train the whole network to answer questions.
        usd_per_mtok: invented price of a million tokens, for input and output alike.
        batch_size: examples per step.
        num_layers: layers of the language model.
        width: hidden size of the language model, a multiple of its head size 32.
        vision_width: hidden size of the vision tower, a multiple of its head size 64.
    """

    name: str
    alignment_steps: int
    steps: int
    usd_per_mtok: float
    batch_size: int = 64
    num_layers: int = 3
    width: int = 96
    vision_width: int = 128


VISION_CANDIDATE = VisionSpec("observer", 100, 600, 0.4)
