"""Drawing questions about pictures for a split.

The split of a question follows from a hash of its scene, so no picture is in two splits, whatever
is asked about it. Each split also has names of its own, so no text is in two splits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random

import pyarrow as pa

from modelsat.artifacts.schemas import QUESTIONS
from modelsat.demo.bank.generator import (
    SPLIT_SHARES,
    SPLITS,
    Question,
    content_id,
    question_row,
    split_of,
    word_question,
)
from modelsat.demo.bank.spec import TaskSpec
from modelsat.demo.bank.words import NAMES
from modelsat.demo.pictures.drawing import draw_picture, encode_png
from modelsat.demo.pictures.scenes import Scene
from modelsat.demo.pictures.tasks import PICTURE_TASKS, PictureItem
from modelsat.errors import ConfigError

PICTURES_VERSION = "1"
# A tenth of the scenes is in the smallest split: 400 draws miss it once in 10^18.
_DRAWS_PER_QUESTION = 400


@dataclass(frozen=True)
class PictureQuestion:
    """One worded question and the scene that it is about.

    Attributes:
        question: prompt, answer and options.
        scene: what the picture shows.
    """

    question: Question
    scene: Scene

    def png(self) -> bytes:
        """Return the picture as a PNG file."""
        return encode_png(draw_picture(self.scene))


def names_of(split: str) -> tuple[str, ...]:
    """Return the names that the questions of a split use."""
    return NAMES[SPLITS.index(split) :: len(SPLITS)]


def draw_question(
    task: TaskSpec, split: str, wording: str, choice: bool, rng: Random
) -> PictureQuestion:
    """Draw one question of a split.

    Args:
        task: one of `PICTURE_TASKS`.
        split: one of `SPLITS`.
        wording: sentence of the task.
        choice: whether the question lists four options.
        rng: source of all that varies.

    Raises:
        ConfigError: no scene of the task is in the split.
    """
    item = _draw_item(task, split, rng)
    content = content_id(task, item)
    named = wording.replace("{who}", rng.choice(names_of(split)))
    return PictureQuestion(word_question(task, item, content, named, choice, rng), item.scene)


def draw_picture_questions(
    task: TaskSpec, split: str, count: int, seed: int
) -> Iterator[PictureQuestion]:
    """Draw questions of one task that differ in content.

    Formats and wordings alternate as in `modelsat.demo.bank`: every other question is a choice,
    and in the split test every other pair uses a wording that no other split has.

    Args:
        task: one of `PICTURE_TASKS`.
        split: one of `SPLITS`.
        count: number of questions.
        seed: any integer.

    Raises:
        ConfigError: the task has fewer questions of that split.
    """
    rng = Random(f"{PICTURES_VERSION}|{seed}|{split}|{task.name}")
    seen: set[str] = set()
    for index in range(count):
        fresh = split == "test" and index // 2 % 2 == 1
        wording = rng.choice(task.test_wordings if fresh else task.wordings)
        for _ in range(_DRAWS_PER_QUESTION):
            drawn = draw_question(task, split, wording, index % 2 == 0, rng)
            if drawn.question.content_id not in seen:
                break
        else:
            raise _exhausted(task, split)
        seen.add(drawn.question.content_id)
        yield drawn


def generate_picture_questions(
    split: str, per_task: int, seed: int
) -> tuple[pa.Table, dict[str, bytes]]:
    """Generate questions of every task, and their pictures.

    Args:
        split: "pretrain" (what the demo's vision candidate learns from), "aptitude", "training"
            or "test".
        per_task: number of questions of each task, at least 1.
        seed: any integer; the same arguments give the same questions and pictures.

    Returns:
        A table in the questions schema, `per_task` rows for each task, and the PNG file of each
        question by its id.

    Raises:
        ConfigError: unknown split, `per_task` below 1, or more questions than a task has.
    """
    if split not in SPLIT_SHARES:
        raise ConfigError(f"unknown split {split!r}; the bank's splits are: {', '.join(SPLITS)}")
    if per_task < 1:
        raise ConfigError(f"per_task is {per_task}; it must be at least 1")
    rows, pictures = [], {}
    for task in PICTURE_TASKS:
        for drawn in draw_picture_questions(task, split, per_task, seed):
            row = _row(drawn, split)
            rows.append(row)
            pictures[str(row["question_id"])] = drawn.png()
    return pa.Table.from_pylist(rows, schema=QUESTIONS.arrow), pictures


def _draw_item(task: TaskSpec, split: str, rng: Random) -> PictureItem:
    for _ in range(_DRAWS_PER_QUESTION):
        item = task.draw(rng, "")
        assert isinstance(item, PictureItem)
        if split_of(sha256(item.scene.text().encode()).hexdigest()) == split:
            return item
    raise _exhausted(task, split)


def _exhausted(task: TaskSpec, split: str) -> ConfigError:
    return ConfigError(
        f"task {task.name} has too few different questions of split {split}; "
        "ask for fewer questions per task"
    )


def _row(drawn: PictureQuestion, split: str) -> dict[str, object]:
    question = drawn.question
    # The same text may ask about several pictures.
    text = f"{question.task.name}|{question.prompt}|{question.content_id}"
    question_id = f"{question.task.name}-{sha256(text.encode()).hexdigest()[:16]}"
    return question_row(question, split) | {"question_id": question_id}
