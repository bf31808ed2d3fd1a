"""Questions that bring a request of their own: a conversation, tools, a format of the answer.

The column ``request`` of a questions table holds the fields of an OpenAI chat request as JSON. A
question without it is one user message, its prompt.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from modelsat.chats import modalities
from modelsat.errors import ArtifactError
from modelsat.zoo.candidate import Candidate

# Types of the parts of a message for which a zoo entry says whether a candidate reads them.
_KNOWN_PARTS = {"text", "refusal", "image_url", "input_audio", "audio_url"}

# Fields that change what is asked. Others of a request, such as sampling and limits, are those of
# the candidate, as for every question.
FIELDS = ("messages", "tools", "tool_choice", "parallel_tool_calls", "response_format")


def read_request(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the request of a question; None if it has none.

    Args:
        row: of a questions table.

    Raises:
        ArtifactError: it is not a chat request; names the question.
    """
    text = row.get("request")
    if not text:
        return None
    try:
        request = json.loads(text)
        check_request(request)
    except ValueError as error:
        raise ArtifactError(f"question {row.get('question_id')!r}: request: {error}") from None
    return dict(request)


def check_request(request: Any) -> None:
    """Check that a value is a chat request of :data:`FIELDS`.

    Raises:
        ValueError: it is not, in words for the user.
    """
    if not isinstance(request, Mapping):
        raise ValueError("not a JSON object")
    unknown = sorted(set(request) - set(FIELDS))
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; fields are {', '.join(FIELDS)}")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list of at least one message")
    for message in messages:
        _check_message(message)
    tools = request.get("tools")
    if tools is not None and not (
        isinstance(tools, list) and all(isinstance(tool, Mapping) for tool in tools)
    ):
        raise ValueError("tools must be a list of objects")


def can_answer(candidate: Candidate, row: Mapping[str, Any]) -> bool:
    """Return whether a candidate reads everything in a question, as its zoo entry says.

    Args:
        candidate: a candidate.
        row: of a questions table.
    """
    request = read_request(row) or {"messages": []}
    if not _part_types(request["messages"]) <= _KNOWN_PARTS:
        return False  # a file or a video: no zoo entry says that a candidate reads it
    inputs = modalities(request["messages"]) | ({"image"} if row.get("images") else set())
    return inputs <= set(candidate.modalities) and (candidate.tools or not request.get("tools"))


def questions_not_for_all(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the ids of questions that some candidates cannot read: with images or tools."""
    return {row["question_id"] for row in rows if row.get("images") or row.get("request")}


def _part_types(messages: Iterable[Mapping[str, Any]]) -> set[str]:
    contents = (message.get("content") for message in messages)
    return {part["type"] for content in contents if isinstance(content, list) for part in content}


def _check_message(message: Any) -> None:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise ValueError("each message must be an object with a role")
    content = message.get("content")
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise ValueError("the content of a message must be a text or a list of parts")
    for part in content:
        if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
            raise ValueError("each part of a message must be an object with a type")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            raise ValueError("a part of type text must have a text")
