import json

import pytest

from modelsat.aptitude.keywords import load_keywords, parse_keywords
from modelsat.errors import ConfigError

SINGLE = ("gsm8k", "math", "winogrande", "arc_challenge", "boolq", "truthfulqa", "mrpc", "mnli")
COUNTS = {"mmlu": 57, "mmlu_pro": 14, "bbh": 17, "mmmu": 30} | dict.fromkeys(SINGLE, 1)


@pytest.mark.parametrize(("benchmark", "count"), COUNTS.items())
def test_every_shipped_task_has_five_short_lower_case_keywords(benchmark, count):
    keywords = load_keywords(benchmark)
    assert len(keywords) == count
    assert len(set(map(frozenset, keywords.values()))) == count
    for words in keywords.values():
        assert len(words) == len(set(words)) == 5
        assert all(word == word.lower() and len(word.split()) in (1, 2) for word in words)


@pytest.mark.parametrize(
    ("benchmark", "task"),
    [
        ("mmlu", "high_school_physics"),
        ("mmlu", "professional_law"),
        ("mmlu_pro", "computer science"),
        ("mmlu_pro", "other"),
        ("mmmu", "art_theory"),
        ("bbh", "tracking_shuffled_objects_three_objects"),
        *zip(SINGLE, SINGLE, strict=True),
    ],
)
def test_shipped_tasks_use_the_names_of_the_questions_table(benchmark, task):
    assert task in load_keywords(benchmark)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("words.yaml", "sums: [a, b, c, d, two words]\n"),
        ("words.json", json.dumps({"sums": ["a", "b", "c", "d", "two words"]})),
    ],
)
def test_keywords_file_replaces_the_shipped_keywords(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert load_keywords("mmlu", tmp_path / name) == {"sums": ("a", "b", "c", "d", "two words")}


def test_unknown_benchmark_needs_a_keywords_file():
    with pytest.raises(ConfigError, match=r"'mine', only for mmlu, mmlu_pro, .*pass a file"):
        load_keywords("mine")


@pytest.mark.parametrize(
    "words",
    [
        list("abcd"),
        list("abcdef"),
        list("abcda"),
        ["a", "b", "c", "d", ""],
        ["a", "b", "c", "d", " a"],
        ["a", "b", "c", "d", "e, f"],
        ["a", "b", "c", "d", 5],
        "abcde",
        None,
    ],
)
def test_requires_five_distinct_keywords(words):
    with pytest.raises(ConfigError, match=r"mine\.yaml: task 'sums' has .*5 different keywords"):
        parse_keywords({"words": list("abcde"), "sums": words}, source="mine.yaml")
