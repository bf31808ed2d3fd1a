"""Which text of a request decides where it goes.

Chat: by one of three rules. The content of a message is taken as it is when it is a string; of
a list of parts, the texts of the parts of type ``text`` are taken in order, joined by line
breaks; other parts hold no text.

``last_user``: the last message whose role is ``user``. Earlier turns, answers and the system
prompt do not take part: cards say how well a candidate answers single questions.
``user_turns``: all messages whose role is ``user``, in order. ``conversation``: all messages, in
order. These two keep the last user message, and with it the newest messages that together fit in
a given number of characters, as the router reads the beginning of a text only.

Completions and embeddings: ``prompt`` or ``input`` as it is when it is a string; of a list of
strings, all of them, joined by line breaks.

A request without text, such as one that brings nothing but an image, is routed without scores.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelsat.zoo.candidate import Endpoint
from serve_app.api.errors import ApiError
from serve_app.config import RoutingOptions

_FIELDS: dict[Endpoint, str] = {
    "chat": "messages",
    "completions": "prompt",
    "embeddings": "input",
}


def text_to_route(endpoint: Endpoint, body: Mapping[str, Any], options: RoutingOptions) -> str:
    """The text that is scored.

    Args:
        endpoint: OpenAI's endpoint.
        body: a request body whose messages, prompt or input have the right types.
        options: ``text`` is the rule, ``turns_chars`` the limit of several messages.

    Returns:
        The text; empty where there is nothing but white space, or no user message.

    Raises:
        ApiError: 400: the prompt is token ids.
    """
    field = _FIELDS[endpoint]
    if endpoint == "chat":
        text = _chat_text(body[field], options)
    else:
        text = _prompt_text(field, body[field])
    return text if text.strip() else ""


def _prompt_text(field: str, value: str | Sequence[Any]) -> str:
    texts = [value] if isinstance(value, str) else list(value)
    if not all(isinstance(text, str) for text in texts):
        message = f"{field} holds token ids, which cannot be routed; send text or name a model"
        raise ApiError(400, message, param=field)
    return "\n".join(texts)


def all_text(endpoint: Endpoint, body: Mapping[str, Any]) -> str:
    """Everything that becomes part of a prompt, for counting its tokens.

    Messages stand between marks that are about as many tokens as a chat template adds for
    each. Token ids become as many words, each surely a token.
    """
    value = body[_FIELDS[endpoint]]
    if endpoint != "chat":
        return value if isinstance(value, str) else _longest(value)
    texts = [f"<|{message['role']}|>\n{_message_text(message)}" for message in value]
    extra = [message["tool_calls"] for message in value if message.get("tool_calls")]
    extra += [body[name] for name in ("tools", "functions") if body.get(name)]
    if extra:
        texts.append(json.dumps(extra))
    return "\n".join(texts)


def _chat_text(messages: Sequence[Mapping[str, Any]], options: RoutingOptions) -> str:
    is_user = [message["role"] == "user" for message in messages]
    if not any(is_user):
        return ""
    last_user = len(messages) - 1 - is_user[::-1].index(True)
    question = _message_text(messages[last_user])
    if options.text == "last_user":
        return question
    wanted = [place for place, user in enumerate(is_user) if user or options.text == "conversation"]
    kept: list[str] = []
    num_chars = len(question)
    for place in reversed(wanted):
        if place == last_user:
            kept.append(question)
            continue
        text = _message_text(messages[place])
        if num_chars + 1 + len(text) <= options.turns_chars:
            kept.append(text)
            num_chars += 1 + len(text)
        elif place < last_user:
            break
    return "\n".join(text for text in reversed(kept) if text.strip())


def _message_text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(_part_texts(content))


def _part_texts(parts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    return (part["text"] for part in parts if part.get("type") == "text")


def _longest(value: Sequence[Any]) -> str:
    """The longest of several prompts; each is answered by itself."""
    if all(isinstance(item, int) for item in value):
        return "1 " * len(value)
    texts = [item if isinstance(item, str) else "1 " * len(item) for item in value]
    return max(texts, key=len, default="")
