"""Where the parts of a router model are loaded from."""

from modelsat.modeling.loading import load_tokenizer


def test_minilm_loads_without_the_hub_from_the_installed_package():
    tokenizer = load_tokenizer("sentence-transformers/all-MiniLM-L6-v2")
    assert tokenizer("hello world")["input_ids"] == [101, 7592, 2088, 102]
