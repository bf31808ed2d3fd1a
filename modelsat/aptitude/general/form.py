"""Forms of the general test: the questions of a form, and its task set."""

import json
from collections.abc import Iterator, Sequence
from random import Random
from string import ascii_uppercase

import pyarrow as pa

from modelsat.aptitude.general import (
    algebra,
    algorithms,
    arithmetic,
    coding,
    dates_and_units,
    documents,
    instructions,
    languages,
    logic,
    planning,
    probability,
    space,
    structured_output,
    text,
    tool_use,
)
from modelsat.aptitude.general.task import NUM_LEVELS, Item, Task
from modelsat.aptitude.tasks import SHOTS_PER_TASK, TaskSet, build_task_set
from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.errors import ConfigError

BENCHMARK = "general"
_MODULES = (
    arithmetic,
    algebra,
    probability,
    logic,
    algorithms,
    coding,
    structured_output,
    tool_use,
    instructions,
    text,
    documents,
    dates_and_units,
    space,
    languages,
    planning,
)
TASKS: tuple[Task, ...] = tuple(task for module in _MODULES for task in module.TASKS)
DOMAINS = tuple(dict.fromkeys(task.domain for task in TASKS))


def generate_form(
    form: int, shots: int = SHOTS_PER_TASK, tasks: Sequence[Task] = TASKS
) -> tuple[pa.Table, TaskSet]:
    """Generate a form of the general test: its questions and its task set.

    Question ``n`` of a task has level ``(n - 1) % 5 + 1``, so every form has as many questions of
    each level, and so has its first half.

    Args:
        form: number of the form, at least 0; the same number gives the same questions.
        shots: questions of each task, a multiple of the number of levels.
        tasks: tasks to generate; the questions of a task do not depend on the others.

    Returns:
        A table in the questions schema and the task set.

    Raises:
        ConfigError: ``form`` or ``shots`` is not allowed.
    """
    if form < 0:
        raise ConfigError(f"form is {form}; it must be at least 0")
    if shots < 1 or shots % NUM_LEVELS:
        raise ConfigError(
            f"shots is {shots}; it must be a multiple of {NUM_LEVELS}, the number of levels"
        )
    rows = [row for task in tasks for row in _rows(task, form, shots)]
    questions = pa.Table.from_pylist(rows, schema=QUESTIONS.arrow)
    return questions, build_task_set(questions, {t.name: t.keywords for t in tasks}, shots)


def select_tasks(names: Sequence[str], domains: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks with these names or in these domains; all tasks if neither is given.

    Raises:
        ConfigError: a name or a domain is unknown.
    """
    for kind, given, known in (
        ("task", names, [task.name for task in TASKS]),
        ("domain", domains, DOMAINS),
    ):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ConfigError(f"unknown {kind} {unknown[0]!r}; allowed: {', '.join(known)}")
    if not names and not domains:
        return TASKS
    return tuple(task for task in TASKS if task.name in names or task.domain in domains)


def _rows(task: Task, form: int, shots: int) -> Iterator[dict[str, object]]:
    seen: set[str] = set()
    order = Random(f"{form}/{task.name}/options")
    places = order.sample(range(shots), shots)  # of the right options, as often each
    for index in range(shots):
        level = index % NUM_LEVELS + 1
        rng = Random(f"{form}/{task.name}/{level}/{index // NUM_LEVELS}")
        content = ""
        while not content or content in seen:
            prompt, item = task.question(rng, level)
            content = content_hash([task.name, prompt, sorted((item.answer, *item.wrong))])
        seen.add(content)
        yield {
            "question_id": f"{BENCHMARK}/{form}/{task.name}/{index + 1:02d}",
            "benchmark": BENCHMARK,
            "task": task.name,
            "split": "aptitude",
            **_asked(prompt, item, places[index], order),
            "grader": item.grader,
            "grader_args": json.dumps(item.args) if item.args else None,
            "dup_group": content,
            "category": task.domain,
        }


def _asked(prompt: str, item: Item, place: int, rng: Random) -> dict[str, object]:
    """Return the columns that depend on the options; the right one gets the letter of its place."""
    if not item.wrong:
        return {"prompt": f"{prompt}\n{item.ending}", "answer": item.answer}
    options = rng.sample(item.wrong, len(item.wrong))
    place %= len(options) + 1
    options.insert(place, item.answer)
    lines = [f"{letter}) {text}" for letter, text in zip(ascii_uppercase, options, strict=False)]
    return {
        "prompt": "\n".join([prompt, *lines, item.ending]),
        "answer": ascii_uppercase[place],
        "n_choices": len(options),
    }
