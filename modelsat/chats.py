"""Chats, as the messages of an OpenAI request: their text, and what they ask of a candidate."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

Message = Mapping[str, Any]
TextRule = Literal["last_user", "user_turns", "conversation"]

_MODALITIES = {"image_url": "image", "input_audio": "audio", "audio_url": "audio"}


def text_to_score(messages: Sequence[Message], rule: TextRule, turns_chars: int) -> str:
    """Return the text of a chat that is scored.

    The content of a message is the string itself; of a list of parts, the texts of the parts of
    type ``text`` are joined by line breaks, and other parts hold no text.

    Args:
        messages: messages, each with a role and a content.
        rule: ``last_user``: the last message whose role is ``user``; ``user_turns``: all messages
            whose role is ``user``; ``conversation``: all messages. The latter two keep the last
            user message and the newest other messages that together fit in ``turns_chars``.
        turns_chars: most characters of several messages.

    Returns:
        The text; empty if there is no user message.
    """
    is_user = [message["role"] == "user" for message in messages]
    if not any(is_user):
        return ""
    last_user = len(messages) - 1 - is_user[::-1].index(True)
    question = message_text(messages[last_user])
    if rule == "last_user":
        return question
    wanted = [place for place, user in enumerate(is_user) if user or rule == "conversation"]
    kept: list[str] = []
    num_chars = len(question)
    for place in reversed(wanted):
        if place == last_user:
            kept.append(question)
            continue
        text = message_text(messages[place])
        if num_chars + 1 + len(text) <= turns_chars:
            kept.append(text)
            num_chars += 1 + len(text)
        elif place < last_user:
            break
    return "\n".join(text for text in reversed(kept) if text.strip())


def message_text(message: Message) -> str:
    """Return the text of a message; parts that hold no text are left out."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(_part_texts(content))


def modalities(messages: Sequence[Message]) -> frozenset[str]:
    """Return the kinds of input in a chat: ``text``, and ``image`` or ``audio`` if it has them."""
    found = {"text"}
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            found.update(_MODALITIES.get(part["type"], "text") for part in content)
    return frozenset(found)


def _part_texts(parts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    return (part["text"] for part in parts if part.get("type") == "text")
