import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from serve_app.routing.zoo_table import TokenCounter

TEMPLATE = 64


def word_tokenizer():
    """One token for each word, and a limit of 8 tokens that must not hold."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    return tokenizer


@pytest.fixture(scope="module")
def counter():
    return TokenCounter(word_tokenizer())


def estimate(counter, text):
    return asyncio.run(counter.estimate(text))


def test_tokens_are_counted_with_a_margin(counter):
    # 100 words of 3 bytes each.
    assert estimate(counter, "go " * 100) == 110 + TEMPLATE


def test_characters_unknown_to_the_tokenizer_count_by_bytes(counter):
    # One "word" of 6,000 bytes: 1,000 tokens at six bytes each.
    assert estimate(counter, "\N{GRINNING FACE}" * 1500) == 1100 + TEMPLATE


def test_without_a_tokenizer_bytes_are_counted(tmp_path):
    counter = TokenCounter.of_router(tmp_path)
    assert estimate(counter, "x" * 600) == 110 + TEMPLATE


def test_the_tokenizer_of_a_router_directory_is_found(tmp_path):
    (tmp_path / "base").mkdir()
    word_tokenizer().save(str(tmp_path / "base" / "tokenizer.json"))
    assert estimate(TokenCounter.of_router(tmp_path), "go " * 100) == 110 + TEMPLATE


@given(st.text())
def test_no_estimate_exceeds_the_bound(counter, text):
    assert estimate(counter, text) <= counter.at_most(text)
    assert counter.at_most(text) == len(text.encode()) + TEMPLATE


def test_a_huge_text_is_counted_by_sample(counter):
    text = "some words of five signs " * 80_000
    assert estimate(counter, text) == pytest.approx(1.1 * 5 * 80_000, rel=0.01)
