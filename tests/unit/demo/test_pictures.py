"""Questions about pictures: repeatable, right, of one split, and not answered by their text."""

import re
from collections import Counter, defaultdict
from io import BytesIO
from random import Random

import pytest
from PIL import Image

from modelsat.aptitude.tasks import build_task_set
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.demo.bank import SPLITS, TASKS
from modelsat.demo.pictures import (
    PICTURE_TASKS,
    draw_picture_questions,
    generate_picture_questions,
)
from modelsat.demo.pictures.drawing import draw_picture
from modelsat.demo.pictures.scenes import Bar, Figure, Scene
from modelsat.errors import ConfigError
from tests.support.picture_oracle import answer_from_pixels, find_regions

NAMES = [task.name for task in PICTURE_TASKS]
SLOT = re.compile(r"\{(\w+)\}")


def options_of(prompt):
    return re.findall(r"^[A-D]\) (.+)$", prompt, flags=re.MULTILINE)


def stem_of(prompt):
    return prompt.split("\nA) ")[0]


def right_text(row):
    return (
        options_of(row["prompt"])["ABCD".index(row["answer"])]
        if row["n_choices"]
        else row["answer"]
    )


@pytest.fixture(scope="module")
def banks():
    """For each split, rows of the questions table and pictures by question id."""
    made = {split: generate_picture_questions(split, 40, seed=7) for split in SPLITS}
    return {split: (table.to_pylist(), pictures) for split, (table, pictures) in made.items()}


def test_there_are_ten_tasks_besides_those_of_the_text_families() -> None:
    assert len(set(NAMES)) == len(NAMES) == 10
    assert {task.family for task in PICTURE_TASKS} == {"pictures"}
    assert not set(NAMES) & {task.name for task in TASKS}


@pytest.mark.parametrize("task", PICTURE_TASKS, ids=NAMES)
def test_a_task_is_described_and_worded_as_promised(task) -> None:
    assert len(set(task.keywords)) == len(task.keywords) == 5
    assert len(set(task.wordings)) >= 4
    assert len(set(task.test_wordings)) >= 2
    assert not set(task.wordings) & set(task.test_wordings)
    asked = set(task.draw(Random(0), "").slots) - {"scene"}
    for wording in (*task.wordings, *task.test_wordings):
        assert set(SLOT.findall(wording)) == asked | {"who"}, wording


def test_rows_fit_the_questions_schema_and_a_task_set(tmp_path) -> None:
    table, pictures = generate_picture_questions("aptitude", 20, 3)
    write_table(QUESTIONS, table, tmp_path / "q.parquet")
    rows = read_table(QUESTIONS, tmp_path / "q.parquet").to_pylist()
    assert [row["question_id"] for row in rows] == list(pictures)
    assert Counter(row["task"] for row in rows) == dict.fromkeys(NAMES, 20)
    tasks = build_task_set(table, {task.name: task.keywords for task in PICTURE_TASKS})
    assert [task.task for task in tasks.tasks] == NAMES


def test_the_same_arguments_give_the_same_questions_and_bytes() -> None:
    first, again = (generate_picture_questions("test", 5, 11) for _ in range(2))
    assert first[0].equals(again[0])
    assert first[1] == again[1]
    other = generate_picture_questions("test", 5, 12)
    assert not set(first[1].values()) & set(other[1].values())


def test_a_picture_is_a_small_png(banks) -> None:
    for png in banks["test"][1].values():
        image = Image.open(BytesIO(png))
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (64, 64))
        assert len(png) < 2000


def test_half_of_the_questions_are_choices_with_one_right_option(banks) -> None:
    for rows, _ in banks.values():
        choices = [row for row in rows if row["n_choices"]]
        assert len(choices) == len(rows) / 2
        assert all(len(set(options_of(row["prompt"]))) == 4 for row in choices)
        places = Counter(row["answer"] for row in choices)
        assert set(places) == set("ABCD")
        assert min(places.values()) > len(choices) / 6  # no letter is a good guess


def test_no_picture_and_no_text_is_in_two_splits(banks) -> None:
    seen: dict[object, str] = {}
    for split, (rows, pictures) in banks.items():
        assert len({row["question_id"] for row in rows}) == len(rows)
        for row in rows:
            picture = pictures[row["question_id"]]
            for key in (picture, row["question_id"], row["dup_group"], stem_of(row["prompt"])):
                assert seen.setdefault(key, split) == split


def test_test_wordings_are_half_of_the_test_and_nowhere_else(banks) -> None:
    by_name = {task.name: task for task in PICTURE_TASKS}
    for split, (rows, _) in banks.items():
        fresh = 0
        for row in rows:
            patterns = [
                SLOT.sub(r"\\w+", re.escape(wording).replace(r"\{", "{").replace(r"\}", "}"))
                for wording in by_name[row["task"]].test_wordings
            ]
            fresh += any(re.fullmatch(pattern, stem_of(row["prompt"])) for pattern in patterns)
        assert fresh == (len(rows) / 2 if split == "test" else 0)


@pytest.mark.parametrize("task", NAMES)
def test_answers_are_what_the_pixels_show(banks, task) -> None:
    for rows, pictures in banks.values():
        for row in rows:
            if row["task"] == task:
                stem, picture = stem_of(row["prompt"]), pictures[row["question_id"]]
                assert right_text(row) == answer_from_pixels(task, stem, picture), row["prompt"]


def test_every_figure_and_bar_of_a_scene_is_drawn(banks) -> None:
    for task in PICTURE_TASKS:
        for drawn in draw_picture_questions(task, "training", 20, 5):
            found = Counter((region.colour) for region in find_regions(drawn.png()))
            shown = (*drawn.scene.figures, *drawn.scene.bars)
            assert found == Counter(it.colour for it in shown)


def text_guesser(rows):
    """The most frequent answer to each text, names and options left out, and to each task."""
    by_key = defaultdict(Counter)
    for row in rows:
        for key in keys_of(row):
            by_key[key][right_text(row)] += 1
    return by_key


def keys_of(row):
    asked = tuple(w for w in re.findall(r"[a-z]+", stem_of(row["prompt"])))
    return (row["task"], asked), (row["task"],)


def test_the_text_alone_gives_no_answer_away() -> None:
    """A guesser that has seen 4,000 texts and answers stays near chance on 2,000 others."""
    learned = text_guesser(generate_texts("training", 400))
    hits, chances = defaultdict(list), defaultdict(list)
    domains = {task.name: len(task.domain) for task in PICTURE_TASKS}
    for row in generate_texts("test", 200):
        key = next(key for key in keys_of(row) if sum(learned[key].values()) >= 20 or len(key) == 1)
        options = options_of(row["prompt"])
        ranked = [answer for answer, _ in learned[key].most_common()]
        guess = next(answer for answer in ranked if not options or answer in options)
        kind = "choice" if options else "short"
        hits[kind].append(guess == right_text(row))
        chances[kind].append(1 / 4 if options else 1 / domains[row["task"]])
    for kind, hit in hits.items():
        assert sum(hit) / len(hit) < sum(chances[kind]) / len(hit) + 0.05, kind


def generate_texts(split, per_task):
    table, _ = generate_picture_questions(split, per_task, seed=1)
    return table.to_pylist()


def test_equal_scenes_give_equal_pictures_and_others_do_not() -> None:
    left, right = Figure("circle", "red", 0, 0), Figure("cross", "blue", 3, 2)
    first = draw_picture(Scene((left, right))).tobytes()
    assert first == draw_picture(Scene((right, left))).tobytes()
    assert first != draw_picture(Scene((left,))).tobytes()
    low, high = Scene(bars=(Bar("red", 2),)), Scene(bars=(Bar("red", 3),))
    assert draw_picture(low).tobytes() != draw_picture(high).tobytes()


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown split 'dev'.*aptitude"):
        generate_picture_questions("dev", 1, 0)
    with pytest.raises(ConfigError, match="per_task is 0"):
        generate_picture_questions("test", 0, 0)
