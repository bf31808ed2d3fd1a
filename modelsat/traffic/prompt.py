"""A prompt of own traffic, before any candidate is asked."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelsat.artifacts.hashing import content_hash
from modelsat.chats import message_text
from modelsat.grading.grade import JUDGE

Redact = Callable[[str], str]
_APPLICATION_ROLES = ("system", "developer")
# Fields that hold no text of a person; every other text is redacted.
_WITHOUT_TEXTS = frozenset(
    {"role", "type", "url", "image_url", "data", "format", "detail", "tools", "response_format"}
)
BENCHMARK = "traffic"  # of the questions table


@dataclass(frozen=True)
class TrafficPrompt:
    """A prompt of own traffic.

    Attributes:
        text: the text that the router reads.
        request: the chat request if it is more than the text as one user message, else None.
        graded: columns of a questions table that say how answers are graded: ``answer``,
            ``grader``, ``grader_args``, ``n_choices``; those that are not known are absent.
        known_id: id in the table that it comes from; empty if it has none.
    """

    text: str
    request: Mapping[str, Any] | None = None
    graded: Mapping[str, Any] = field(default_factory=dict)
    known_id: str = ""

    @property
    def question_id(self) -> str:
        """The id that it has, or a hash of what is asked.

        A text alone has the id that the routing log gives it, its SHA-256, so that collected
        outcomes also judge logged decisions.
        """
        asked = self.text if self.request is None else json.dumps([self.text, self.request])
        return self.known_id or hashlib.sha256(asked.encode("utf-8", "replace")).hexdigest()

    @property
    def whole_text(self) -> str:
        """The text of the conversation, by which near duplicates are found.

        Without the application's own messages, which all of its prompts share.
        """
        if self.request is None:
            return self.text
        return "\n".join(
            message_text(message)
            for message in self.request["messages"]
            if message["role"] not in _APPLICATION_ROLES
        )

    @property
    def context(self) -> str:
        """A hash of the rest of the request: the application's messages, tools, images."""
        if self.request is None:
            return ""
        messages = self.request["messages"]
        parts: list[Any] = [one for one in messages if one["role"] in _APPLICATION_ROLES]
        parts += [
            part
            for message in messages
            if isinstance(message.get("content"), list)
            for part in message["content"]
            if part["type"] != "text"
        ]
        others = {name: value for name, value in self.request.items() if name != "messages"}
        return content_hash([parts, others]) if parts or others else ""

    def redacted(self, redact: Redact) -> "TrafficPrompt":
        """Return the prompt with every text changed by a function: messages, calls, gold answer.

        It keeps its id.
        """
        request = None if self.request is None else _redacted(self.request, redact)
        graded = dict(self.graded)
        if graded.get("answer"):
            graded["answer"] = redact(graded["answer"])
        if graded.get("grader") == JUDGE and graded.get("grader_args"):
            graded["grader_args"] = json.dumps(_redacted(json.loads(graded["grader_args"]), redact))
        return replace(
            self,
            text=redact(self.text),
            request=request,
            graded=graded,
            known_id=self.question_id,
        )

    def question(self, topic: str, description: str, default_grader: str) -> dict[str, Any]:
        """Return a row of a questions table.

        Args:
            topic: name of its topic, the row's task.
            description: words that describe the topic, the row's category.
            default_grader: grader of a prompt that names none and has no gold answer.
        """
        answer = self.graded.get("answer") or ""
        grader = self.graded.get("grader") or (None if answer else default_grader)
        return {
            "question_id": self.question_id,
            "benchmark": BENCHMARK,
            "task": topic,
            "prompt": self.text,
            "answer": answer,
            "n_choices": self.graded.get("n_choices"),
            "grader": grader,
            "grader_args": self.graded.get("grader_args"),
            "request": None if self.request is None else json.dumps(self.request),
            "category": description,
        }


def _redacted(value: Any, redact: Redact) -> Any:
    """Change every text but those of the application: roles, types, tools, names of functions."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_redacted(member, redact) for member in value]
    if isinstance(value, Mapping):
        kept = _WITHOUT_TEXTS | ({"name"} if "arguments" in value else frozenset())
        return {
            name: member if name in kept else _redacted(member, redact)
            for name, member in value.items()
        }
    return value
