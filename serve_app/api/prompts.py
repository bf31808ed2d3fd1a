"""Prompts of text completions and inputs of embeddings: texts or token ids."""

from collections.abc import Sequence
from typing import Any

from serve_app.contracts.errors import refuse


def check_prompt(value: Any, where: str) -> None:
    """Check that a value is a text, a list of texts, token ids, or a list of lists of token ids.

    Args:
        value: the value of the field.
        where: name of the field.

    Raises:
        ApiError: 400 with the name of the field.
    """
    if isinstance(value, str):
        return
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value) or _are_token_ids(value):
            return
        if all(isinstance(item, list) and item and _are_token_ids(item) for item in value):
            return
    refuse(
        f"{where} must be a string, a list of strings, a list of token ids, or a list of such "
        "lists; lists must not be empty",
        where,
    )


def prompt_text(field: str, value: str | Sequence[Any]) -> str:
    """Return the text of a prompt; several texts are joined by line breaks.

    Raises:
        ApiError: 400: the prompt is token ids.
    """
    texts = [value] if isinstance(value, str) else list(value)
    if not all(isinstance(text, str) for text in texts):
        refuse(f"{field} holds token ids, which cannot be routed; send text or name a model", field)
    return "\n".join(texts)


def longest_prompt(value: Sequence[Any]) -> str:
    """Return the longest of several prompts, which are answered separately.

    Each token id becomes a word, which is at least one token.
    """
    if all(isinstance(item, int) for item in value):
        return "1 " * len(value)
    texts = [item if isinstance(item, str) else "1 " * len(item) for item in value]
    return max(texts, key=len, default="")


def is_integer(value: Any, low: float, high: float) -> bool:
    """Return whether a value is an integer within bounds."""
    # JSON Schema, and so our document, takes 2.0 for an integer.
    is_within = type(value) in (int, float) and low <= value <= high
    return is_within and value == int(value)


def _are_token_ids(values: list[Any]) -> bool:
    if set(map(type, values)) == {int}:  # a million of them in 20 ms, one by one in 300 ms
        return min(values) >= 0
    return all(is_integer(value, 0, float("inf")) for value in values)
