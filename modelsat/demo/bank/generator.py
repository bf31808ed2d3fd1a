"""Drawing questions of the bank for a split.

The split of a question follows from a hash of its content (task and slot values), not from who
draws it, so questions of different splits differ whatever the seeds and the sizes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random

import pyarrow as pa

from modelsat.artifacts.schemas import QUESTIONS
from modelsat.demo.bank import arithmetic, calendar, facts, logic, text
from modelsat.demo.bank.spec import CHOICE_LETTERS, Item, TaskSpec
from modelsat.errors import ConfigError

BANK_VERSION = "1"
BENCHMARK = "demo"
TASKS: tuple[TaskSpec, ...] = (
    *arithmetic.TASKS,
    *text.TASKS,
    *calendar.TASKS,
    *logic.TASKS,
    *facts.TASKS,
)
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(task.family for task in TASKS))

# Share of all contents that belongs to each split, in 1/100.
SPLIT_SHARES = {"pretrain": 60, "aptitude": 10, "training": 18, "test": 12}
SPLITS: tuple[str, ...] = tuple(SPLIT_SHARES)

# Draws per wanted question before a task counts as exhausted: a split holds at least a tenth of
# the contents, so 400 misses in a row mean that nearly all of them are used up.
_DRAWS_PER_QUESTION = 400


@dataclass(frozen=True)
class Question:
    """One worded question.

    Attributes:
        task: the task it belongs to.
        prompt: what the candidate is asked, lettered options included.
        answer: the letter of the right option, or the right text.
        options: texts of the options in the order of their letters; empty for a short answer.
        item: the content.
        content_id: hash of task and content, hex, 16 digits.
    """

    task: TaskSpec
    prompt: str
    answer: str
    options: tuple[str, ...]
    item: Item
    content_id: str


def content_id(task: TaskSpec, item: Item) -> str:
    """Hash of what a question is about, the same for every wording and format of it."""
    content = "|".join([task.name, *(f"{key}={item.slots[key]}" for key in sorted(item.slots))])
    return sha256(content.encode()).hexdigest()[:16]


def split_of(content: str) -> str:
    """The split to which a content hash belongs."""
    place = int(content, 16) % 100
    for split, share in SPLIT_SHARES.items():
        if place < share:
            return split
        place -= share
    raise AssertionError("split shares do not add up to 100")


def draw_item(task: TaskSpec, split: str, rng: Random, subject: str) -> tuple[Item, str]:
    """Draw contents until one belongs to the split; returns it with its hash."""
    for _ in range(_DRAWS_PER_QUESTION):
        item = task.draw(rng, subject)
        content = content_id(task, item)
        if split_of(content) == split:
            return item, content
    raise ConfigError(
        f"task {task.name} has no question of split {split} about {subject or 'anything'}; "
        "ask for fewer questions per task"
    )


def choose_options(task: TaskSpec, item: Item, rng: Random) -> tuple[str, ...]:
    """Four different options in random order: the answer, preferred distractors, then others."""
    wrong = list(dict.fromkeys(option for option in item.distractors if option != item.answer))[:3]
    rest = [option for option in task.domain if option != item.answer and option not in wrong]
    wrong += rng.sample(rest, len(CHOICE_LETTERS) - 1 - len(wrong))
    options = [item.answer, *wrong]
    rng.shuffle(options)
    return tuple(options)


def word_question(
    task: TaskSpec, item: Item, content: str, wording: str, choice: bool, rng: Random
) -> Question:
    """Put a content into words, with lettered options when it is a choice."""
    prompt = wording.format(**item.slots)
    if not choice:
        return Question(task, prompt, item.answer, (), item, content)
    options = choose_options(task, item, rng)
    lines = [f"{letter}) {text}" for letter, text in zip(CHOICE_LETTERS, options, strict=True)]
    letter = CHOICE_LETTERS[options.index(item.answer)]
    return Question(task, "\n".join([prompt, *lines]), letter, options, item, content)


def draw_questions(task: TaskSpec, split: str, count: int, seed: int) -> Iterator[Question]:
    """Draw different questions of one task.

    Formats and wordings alternate: every other question is a choice, and in the split test every
    other pair uses a wording that no other split has. Subjects come in shuffled rounds.

    Args:
        task: the task.
        split: one of `SPLITS`.
        count: number of questions.
        seed: any integer.

    Yields:
        `count` questions of different content.

    Raises:
        ConfigError: the task has fewer questions of that split.
    """
    rng = Random(f"{BANK_VERSION}|{seed}|{split}|{task.name}")
    seen: set[str] = set()
    round_: list[str] = []
    for index in range(count):
        if not round_:
            round_ = rng.sample(task.subjects, len(task.subjects)) or [""]
        subject = round_.pop()
        for _ in range(_DRAWS_PER_QUESTION):
            item, content = draw_item(task, split, rng, subject)
            if content not in seen:
                break
        else:
            raise ConfigError(
                f"task {task.name} has fewer than {count} different questions of split {split}; "
                "ask for fewer questions per task"
            )
        seen.add(content)
        fresh = split == "test" and index // 2 % 2 == 1
        wording = rng.choice(task.test_wordings if fresh else task.wordings)
        yield word_question(task, item, content, wording, index % 2 == 0, rng)


def question_row(question: Question, split: str) -> dict[str, object]:
    """Return a question as a row of the questions table."""
    digest = sha256(f"{question.task.name}|{question.prompt}".encode()).hexdigest()[:16]
    return {
        "question_id": f"{question.task.name}-{digest}",
        "benchmark": BENCHMARK,
        "task": question.task.name,
        "split": split,
        "prompt": question.prompt,
        "answer": question.answer,
        "n_choices": len(question.options) or None,
        "dup_group": question.content_id,
        "category": question.task.family,
    }


def generate_questions(split: str, per_task: int, seed: int) -> pa.Table:
    """Generate a table of questions of every task.

    Args:
        split: "pretrain" (what demo candidates learn from), "aptitude", "training" or "test".
        per_task: number of questions of each task, at least 1.
        seed: any integer; the same arguments give the same table.

    Returns:
        Table in the questions schema, `per_task` rows for each task.

    Raises:
        ConfigError: unknown split, `per_task` below 1, or more questions than a task has.
    """
    if split not in SPLIT_SHARES:
        raise ConfigError(f"unknown split {split!r}; the bank's splits are: {', '.join(SPLITS)}")
    if per_task < 1:
        raise ConfigError(f"per_task is {per_task}; it must be at least 1")
    rows = [
        question_row(question, split)
        for task in TASKS
        for question in draw_questions(task, split, per_task, seed)
    ]
    return pa.Table.from_pylist(rows, schema=QUESTIONS.arrow)
