"""The demo tokenizer: readable both ways, one token a word, loadable from its directory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from modelsat.demo.bank import TASKS, generate_questions
from modelsat.demo.tokenizer import MAX_TOKENS, SPECIAL_TOKENS, build_tokenizer, render_chat

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer().save_pretrained(str(directory))
    return AutoTokenizer.from_pretrained(directory)


def encode(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@settings(max_examples=60)
@given(words=st.lists(PRINTABLE, min_size=1), separator=st.sampled_from([" ", "\n"]))
def test_text_survives_the_round_trip(saved, words, separator) -> None:
    text = separator.join(words)
    if not any(mark in text for mark in SPECIAL_TOKENS):
        assert saved.decode(encode(saved, text)) == text


def test_questions_survive_and_hold_no_unknown_token(saved) -> None:
    for prompt in generate_questions("test", 8, 5)["prompt"].to_pylist():
        ids = encode(saved, prompt)
        assert saved.decode(ids) == prompt
        assert saved.unk_token_id not in ids
        assert len(ids) < MAX_TOKENS / 2


def test_every_answer_is_one_token(saved) -> None:
    for value in sorted({value for task in TASKS for value in task.domain}):
        assert len(encode(saved, value)) == 1, value


def test_an_unknown_word_falls_into_characters(saved) -> None:
    assert saved.tokenize("zyxwv") == ["\u2581", "z", "y", "x", "w", "v"]


def test_the_chat_template_renders_what_the_trainer_learns_from(saved) -> None:
    chat = [{"role": "user", "content": "What is double 4?\nA) 8"}]
    ids = saved.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert ids == encode(saved, render_chat(chat[0]["content"]))


def test_the_template_closes_an_earlier_answer(saved) -> None:
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "Again"},
    ]
    text = saved.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert text == (
        "<s><|system|>Be brief.<|user|>Hi<|assistant|>yes</s><|user|>Again<|assistant|>"
    )
