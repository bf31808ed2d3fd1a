"""The question bank keeps its promises, whatever the seed and the size."""

import re
from collections import Counter
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.demo.bank import FAMILIES, SPLITS, TASKS, generate_questions
from modelsat.demo.bank.facts import WORLD
from modelsat.demo.bank.generator import draw_questions, question_row
from modelsat.errors import ConfigError

LETTERS = "ABCD"
TASK_NAMES = [task.name for task in TASKS]
SLOT = re.compile(r"\{(\w+)\}")


def rows_of(name: str, split: str, count: int, seed: int) -> list[dict[str, object]]:
    """Questions of one task, as rows of the table."""
    (task,) = (task for task in TASKS if task.name == name)
    return [question_row(one, split) for one in draw_questions(task, split, count, seed)]


def options_of(prompt: str) -> list[str]:
    return re.findall(r"^[A-D]\) (.+)$", prompt, flags=re.MULTILINE)


def stem_of(prompt: str) -> str:
    """The question without its options."""
    return prompt.split("\nA) ")[0]


def normalised(prompt: str) -> tuple[str, frozenset[str]]:
    """The question whatever the letters and order of its options."""
    return stem_of(prompt).lower(), frozenset(options_of(prompt))


def right_text(row: dict[str, object]) -> str:
    answer, prompt = str(row["answer"]), str(row["prompt"])
    return options_of(prompt)[LETTERS.index(answer)] if row["n_choices"] else answer


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return {split: generate_questions(split, 24, seed=7) for split in SPLITS}


def test_there_are_fifty_tasks_in_five_families_of_ten() -> None:
    assert Counter(task.family for task in TASKS) == dict.fromkeys(FAMILIES, 10)
    assert len(FAMILIES) == 5
    assert len(set(TASK_NAMES)) == 50
    assert all(re.fullmatch(rf"{task.family}_[a-z_]+", task.name) for task in TASKS)


@pytest.mark.parametrize("task", TASKS, ids=TASK_NAMES)
def test_a_task_is_described_and_worded_as_promised(task) -> None:
    assert len(set(task.keywords)) == len(task.keywords) == 5
    assert len(set(task.wordings)) >= 4
    assert len(set(task.test_wordings)) >= 2
    assert not set(task.wordings) & set(task.test_wordings)
    item = task.draw(Random(0), task.subjects[0] if task.subjects else "")
    for wording in (*task.wordings, *task.test_wordings):
        # A slot left out would give two contents, perhaps of two splits, the same prompt.
        assert set(SLOT.findall(wording)) == set(item.slots), wording
    assert len(set(task.domain)) == len(task.domain) >= 4


def test_rows_fit_the_questions_schema(tables, tmp_path) -> None:
    for split, table in tables.items():
        write_table(QUESTIONS, table, tmp_path / "q.parquet")
        read = read_table(QUESTIONS, tmp_path / "q.parquet")
        assert read.num_rows == 24 * 50
        assert set(read["split"].to_pylist()) == {split}
        assert set(read["benchmark"].to_pylist()) == {"demo"}
        assert set(Counter(read["task"].to_pylist()).values()) == {24}
        families = {task.name: task.family for task in TASKS}
        assert read["category"].to_pylist() == [families[t] for t in read["task"].to_pylist()]


def test_half_of_the_questions_are_choices_with_one_right_option(tables) -> None:
    for table in tables.values():
        rows = table.to_pylist()
        choices = [row for row in rows if row["n_choices"]]
        assert len(choices) == len(rows) / 2
        for row in choices:
            options = options_of(row["prompt"])
            assert row["n_choices"] == 4
            assert len(options) == len(set(options)) == 4
        places = Counter(row["answer"] for row in choices)
        assert set(places) == set(LETTERS)
        assert min(places.values()) > len(choices) / 5  # no letter is a good guess
        assert all(not options_of(row["prompt"]) for row in rows if not row["n_choices"])


@settings(max_examples=15)
@given(
    seeds=st.lists(st.integers(0, 2**32), min_size=4, max_size=4),
    sizes=st.lists(st.integers(1, 40), min_size=4, max_size=4),
    task=st.sampled_from(TASK_NAMES),
)
def test_no_question_is_in_two_splits(seeds, sizes, task) -> None:
    seen: dict[object, str] = {}
    for split, seed, size in zip(SPLITS, seeds, sizes, strict=True):
        rows = rows_of(task, split, size, seed)
        assert len({row["dup_group"] for row in rows}) == size
        for row in rows:
            for key in (row["question_id"], row["dup_group"], normalised(row["prompt"])[0]):
                assert seen.setdefault(key, split) == split


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32), split=st.sampled_from(SPLITS))
def test_the_same_arguments_give_the_same_table(seed, split) -> None:
    first, again = (generate_questions(split, 5, seed) for _ in range(2))
    assert first.equals(again)
    assert not first.equals(generate_questions(split, 5, seed + 1))


def matches(wording: str, stem: str) -> bool:
    pattern = SLOT.sub(r"(.+)", re.escape(wording).replace(r"\{", "{").replace(r"\}", "}"))
    return re.fullmatch(pattern, stem) is not None


def test_test_wordings_are_half_of_the_test_and_nowhere_else(tables) -> None:
    by_name = {task.name: task for task in TASKS}
    for split, table in tables.items():
        fresh = [
            any(matches(w, stem_of(row["prompt"])) for w in by_name[row["task"]].test_wordings)
            for row in table.to_pylist()
        ]
        assert sum(fresh) == (len(fresh) / 2 if split == "test" else 0)


def test_facts_are_asked_about_equally_often() -> None:
    rows = rows_of("facts_town_river", "test", 20, 3)
    towns = Counter(t for row in rows for t in WORLD["town_river"] if t in row["prompt"])
    assert towns == dict.fromkeys(WORLD["town_river"], 1)


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown split 'dev'.*aptitude"):
        generate_questions("dev", 1, 0)
    with pytest.raises(ConfigError, match="per_task is 0"):
        generate_questions("test", 0, 0)
    with pytest.raises(ConfigError, match="fewer questions per task"):
        rows_of("text_plural", "aptitude", 10**6, 0)


DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = (
    "January February March April May June July August September October November December".split()
)


def numbers_in(stem: str) -> list[int]:
    return [int(text) for text in re.findall(r"\d+", stem)]


def name_in(stem: str, names: list[str]) -> int:
    return next(i for i, name in enumerate(names) if re.search(rf"\b{name}\b", stem))


def asked_word(stem: str, words: str) -> str:
    return next(word for word in words.split() if re.search(rf"\b{word}\b", stem))


WORDS = (
    "planet garden window butter rocket jungle velvet summit kitchen orchard lantern dragon "
    "whisper yellowtail harbour feather island mirror pepper ticket tea lamp sugar moonlight"
)


# Each oracle reads the printed question alone, and knows nothing of how the bank made it.
ORACLES = {
    "arithmetic_double": lambda stem: str(2 * numbers_in(stem)[0]),
    "arithmetic_half": lambda stem: str(numbers_in(stem)[0] // 2),
    "arithmetic_next_number": lambda stem: str(numbers_in(stem)[0] + 1),
    "arithmetic_square": lambda stem: str(numbers_in(stem)[0] ** 2),
    "arithmetic_sum": lambda stem: str(sum(numbers_in(stem)[:2])),
    "arithmetic_difference": lambda stem: str(abs(max(numbers_in(stem)) - min(numbers_in(stem)))),
    "arithmetic_product": lambda stem: str(numbers_in(stem)[0] * numbers_in(stem)[1]),
    "arithmetic_last_digit": lambda stem: str(numbers_in(stem)[0])[-1],
    "calendar_next_day": lambda stem: DAYS[(name_in(stem, DAYS) + 1) % 7],
    "calendar_in_two_days": lambda stem: DAYS[(name_in(stem, DAYS) + 2) % 7],
    "calendar_previous_month": lambda stem: MONTHS[name_in(stem, MONTHS) - 1],
    "calendar_weeks_to_days": lambda stem: str(7 * numbers_in(stem)[0]),
    "calendar_hours_to_minutes": lambda stem: str(60 * numbers_in(stem)[0]),
    "text_first_letter": lambda stem: asked_word(stem, WORDS)[0],
    "text_last_letter": lambda stem: asked_word(stem, WORDS)[-1],
    "text_word_length": lambda stem: str(len(asked_word(stem, WORDS))),
    "text_alphabet_next": lambda stem: chr(ord(re.findall(r'"(\w)"', stem)[0]) + 1),
    "text_alphabet_previous": lambda stem: chr(ord(re.findall(r'"(\w)"', stem)[0]) - 1),
    "facts_town_dish": lambda stem: WORLD["town_dish"][asked_word(stem, TOWNS)],
    "logic_elimination": lambda stem: remaining_colour(stem),
}
TOWNS = " ".join(WORLD["town_dish"])
COLOURS = "red blue green yellow black white brown pink purple orange grey golden"


def remaining_colour(stem: str) -> str:
    named = Counter(re.findall(rf"\b({COLOURS.replace(' ', '|')})\b", stem))
    (left,) = [colour for colour, times in named.items() if times == 1]
    return left


@pytest.mark.parametrize("task", ORACLES)
@pytest.mark.parametrize("split", ["training", "test"])
def test_answers_are_right(task, split) -> None:
    for row in rows_of(task, split, 40, 11):
        assert right_text(row) == ORACLES[task](stem_of(row["prompt"])), row["prompt"]
