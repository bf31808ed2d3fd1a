"""Prompts with few-shot examples, as a chat and as plain text."""

import pytest

from modelsat.aptitude.prompts import PromptConfig, Prompts, load_prompts
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.config import parse_config
from modelsat.errors import ArtifactError, ConfigError

ASKED = [
    {"question_id": f"q{i}", "task": task, "prompt": f"{task} {i}?", "n_choices": 4}
    for i in range(2)
    for task in ("sums", "words")
]


@pytest.fixture
def examples(tmp_path):
    rows = [
        {"question_id": f"e{task}{i}", "benchmark": "b", "task": task, "prompt": f"{task} e{i}?"}
        | {"answer": "ABC"[i]}
        for i in range(3)
        for task in ("sums", "words", "unasked")
    ]
    path = tmp_path / "examples.parquet"
    write_table(QUESTIONS, rows, path)
    return path


def test_prompt_starts_with_the_first_examples_of_the_task(examples):
    prompts = load_prompts(PromptConfig(shots=2, examples=examples), ASKED)
    assert prompts.messages("sums", "sums 0?") == [
        {"role": "user", "content": "sums e0?"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "sums e1?"},
        {"role": "assistant", "content": "B"},
        {"role": "user", "content": "sums 0?"},
    ]
    assert prompts.plain_text("words", "words 0?") == (
        "words e0?\nAnswer: A\n\nwords e1?\nAnswer: B\n\nwords 0?\nAnswer:"
    )


def test_prompt_without_examples_is_the_question():
    prompts = load_prompts(PromptConfig(), ASKED)
    assert prompts == Prompts()
    assert prompts.messages("sums", "x?") == [{"role": "user", "content": "x?"}]
    assert prompts.plain_text("sums", "x?") == "x?\nAnswer:"


def test_hash_changes_with_the_prompt(examples):
    configs = [
        PromptConfig(),
        PromptConfig(chat_template=False),
        PromptConfig(scoring="loglikelihood"),
        PromptConfig(shots=1, examples=examples),
        PromptConfig(shots=2, examples=examples),
    ]
    hashes = [load_prompts(config, ASKED).content_hash() for config in configs]
    assert len(set(hashes)) == len(configs)
    assert load_prompts(configs[-1], ASKED[::-1]).content_hash() == hashes[-1]


def test_rejects_an_example_that_is_also_a_question(examples):
    asked = [*ASKED, {"question_id": "x", "task": "words", "prompt": "sums e1?", "n_choices": 4}]
    load_prompts(PromptConfig(shots=1, examples=examples), asked)
    with pytest.raises(ArtifactError, match="example 'esums1' is also one of the questions"):
        load_prompts(PromptConfig(shots=2, examples=examples), asked)


def test_rejects_too_few_examples_and_questions_without_options(examples):
    with pytest.raises(ArtifactError, match=r"fewer for 2 tasks: sums \(3\), words \(3\)"):
        load_prompts(PromptConfig(shots=4, examples=examples), ASKED)
    asked = [*ASKED, {"question_id": "open", "task": "sums", "prompt": "?", "n_choices": None}]
    load_prompts(PromptConfig(), asked)
    with pytest.raises(ArtifactError, match=r"1 of 5 questions have none .*'open'"):
        load_prompts(PromptConfig(scoring="loglikelihood"), asked)


@pytest.mark.parametrize("values", [{"shots": 2}, {"examples": "e.parquet"}, {"shots": -1}])
def test_shots_and_examples_must_be_set_together(values):
    with pytest.raises(ConfigError, match="shots"):
        parse_config(PromptConfig, values, source="prompt")
