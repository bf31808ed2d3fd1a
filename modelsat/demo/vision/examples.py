"""What the vision candidate learns from: pictures with questions, and questions without one."""

from dataclasses import dataclass
from random import Random

from modelsat.demo.bank import TASKS
from modelsat.demo.pictures import PICTURE_TASKS
from modelsat.demo.pictures.generator import draw_question
from modelsat.demo.pictures.scenes import Scene
from modelsat.demo.zoo_examples import CHOICE_SHARE, draw_example
from modelsat.demo.zoo_specs import CandidateSpec

# Counting takes the longest to learn, then finding a figure or bar that the question names.
_WEIGHTS = {
    "pictures_count_shape": 3,
    "pictures_count_colour": 3,
    "pictures_count_all": 2,
    "pictures_colour_of_shape": 2,
    "pictures_shape_of_colour": 2,
    "pictures_bar_height": 2,
}
# Of the text families it learns the form of an answer only, from few examples with random answers:
# its answers there are wrong rather than unparsable.
_TEXT_SHARE = 0.05
_KNOWS_NO_TEXT = CandidateSpec("", (), steps=0, usd_per_mtok=0.0)


@dataclass(frozen=True)
class VisionExample:
    """One prompt and the answer to learn.

    Attributes:
        prompt: the question, options included.
        answer: text of the answer; of a choice, the text of the option.
        scene: what the picture shows; None where there is no picture.
    """

    prompt: str
    answer: str
    scene: Scene | None = None


def draw_picture_example(rng: Random) -> VisionExample:
    """Draw a question of split pretrain about a picture."""
    [task] = rng.choices(PICTURE_TASKS, [_WEIGHTS.get(task.name, 1) for task in PICTURE_TASKS])
    is_choice = rng.random() < CHOICE_SHARE
    drawn = draw_question(task, "pretrain", rng.choice(task.wordings), is_choice, rng)
    return VisionExample(drawn.question.prompt, drawn.question.item.answer, drawn.scene)


def draw_vision_examples(count: int, rng: Random) -> list[VisionExample]:
    """Draw examples in random order: mostly with pictures, a few of the text families."""
    examples = []
    for _ in range(count):
        if rng.random() < _TEXT_SHARE:
            examples.append(VisionExample(*draw_example(rng.choice(TASKS), _KNOWS_NO_TEXT, rng)))
        else:
            examples.append(draw_picture_example(rng))
    return examples
