"""Questions that bring a chat request of their own."""

import json
from typing import Any

import pytest

from modelsat.aptitude.own_requests import can_answer, read_request
from modelsat.aptitude.prompts import PromptConfig, Prompts, load_prompts
from modelsat.errors import ArtifactError
from modelsat.zoo.engines.openai import OpenAICandidate

USER = {"role": "user", "content": "What is in it?"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
PICTURE = {"role": "user", "content": [{"type": "text", "text": "What is in it?"}, IMAGE]}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


def row(request: Any) -> dict[str, Any]:
    return {
        "question_id": "q",
        "task": "t",
        "prompt": "What is in it?",
        "n_choices": None,
        "request": request if isinstance(request, str) else json.dumps(request),
    }


def candidate(**fields: Any) -> OpenAICandidate:
    return OpenAICandidate(
        name="far", engine="openai", base_url="http://h/v1", model="m", context_window=9, **fields
    )


def test_a_request_is_asked_as_it_is_and_a_prompt_as_a_user_message() -> None:
    prompts = Prompts(examples={"t": (("one?", "1"),)})
    request = {"messages": [USER], "tools": [TOOL]}
    assert prompts.chat(row(request)) == request
    assert prompts.chat(row(request) | {"request": None})["messages"][-1] == USER


@pytest.mark.parametrize(
    ("request_", "reads_text", "reads_images", "has_tools"),
    [
        ({"messages": [USER]}, True, True, True),
        ({"messages": [USER], "tools": []}, True, True, True),
        ({"messages": [USER], "tools": [TOOL]}, False, False, True),
        ({"messages": [USER, PICTURE]}, False, True, False),
        (None, True, True, True),
    ],
)
def test_a_candidate_is_asked_only_what_it_reads(
    request_: dict[str, Any] | None, reads_text: bool, reads_images: bool, has_tools: bool
) -> None:
    asked = row(request_) if request_ else {"prompt": "What?", "request": None}
    assert can_answer(candidate(), asked) is reads_text
    assert can_answer(candidate(modalities=("text", "image")), asked) is reads_images
    assert can_answer(candidate(tools=True), asked) is has_tools


def test_parts_of_unknown_kinds_are_read_by_nobody() -> None:
    file = {"type": "file", "file": {"file_data": "AA=="}}
    asked = row({"messages": [{"role": "user", "content": [file]}]})
    assert not can_answer(candidate(modalities=("text", "image", "audio")), asked)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ("{", "request: "),
        ([], "not a JSON object"),
        ({}, "at least one message"),
        ({"messages": []}, "at least one message"),
        ({"messages": ["hi"]}, "an object with a role"),
        ({"messages": [{"role": "user", "content": 7}]}, "a text or a list of parts"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "an object with a type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "must have a text"),
        ({"messages": [USER], "tools": [1]}, "tools must be"),
        ({"messages": [USER], "seed": 1}, "unknown field 'seed'; fields are messages"),
    ],
)
def test_a_malformed_request_names_its_question(request_: Any, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason) as refused:
        read_request(row(request_))
    assert "question 'q'" in str(refused.value)


def test_plain_text_cannot_ask_a_request() -> None:
    with pytest.raises(ArtifactError, match=r"prompt\.chat_template: true"):
        load_prompts(PromptConfig(chat_template=False), [row({"messages": [USER]})])
