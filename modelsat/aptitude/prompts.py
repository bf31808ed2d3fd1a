"""Prompts: a question with few-shot examples, as chat messages or as plain text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from modelsat.aptitude.images import read_image, with_images
from modelsat.aptitude.own_requests import read_request
from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_table
from modelsat.config import FrozenConfig
from modelsat.errors import ArtifactError

Scoring = Literal["generated", "loglikelihood"]
Message = dict[str, Any]  # of a chat: role and content

_CUE = "Answer:"  # ends a plain prompt, as in lm-eval's MMLU
# Between the cue and the answer: a space in plain text, nothing in a chat.
ANSWER_DELIMITER = {False: " ", True: ""}
# Stop string of a plain-text answer: after a blank line the model invents a new question.
PLAIN_STOP = "\n\n"
TEMPERATURE = 0.0  # greedy decoding
_RESERVED_FIELDS = frozenset({"model", "messages", "stream", "n"})


def check_request_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Return extra request fields of a remote candidate, if they are allowed.

    Raises:
        ValueError: a field is reserved, since the zoo or the questions determine it.
    """
    reserved = sorted(_RESERVED_FIELDS & set(fields))
    if reserved:
        raise ValueError(f"{reserved} cannot be set here; the zoo and the questions set them")
    return fields


def request_fields(fields: Mapping[str, Any], max_new_tokens: int) -> dict[str, Any]:
    """Return a request's fields besides model and messages; a null value removes a field."""
    merged = {"temperature": TEMPERATURE, "max_tokens": max_new_tokens, **fields}
    return {name: value for name, value in merged.items() if value is not None}


class PromptConfig(FrozenConfig):
    """How questions are formatted and answers scored.

    Attributes:
        chat_template: whether questions are user messages under the candidate's chat template;
            false sends one plain text that ends in "Answer:", for base models.
        scoring: ``generated`` grades the text of the greedy answer; ``loglikelihood`` chooses the
            option whose letter is the most likely next token, so no answer is unparsable.
        shots: few-shot examples before each question: the first ones of its task.
        examples: questions table (parquet) with the examples; it must not contain the questions.
    """

    chat_template: bool = True
    scoring: Scoring = "generated"
    shots: int = Field(default=0, ge=0)
    examples: Path | None = None

    @model_validator(mode="after")
    def _examples_fit(self) -> Self:
        if bool(self.shots) != bool(self.examples):
            raise ValueError(
                f"shots {self.shots} and examples {self.examples} do not match: set both the "
                "table of examples and the number per task, or neither"
            )
        return self


@dataclass(frozen=True)
class Prompts:
    """Formats questions as a :class:`PromptConfig` specifies; picklable.

    Attributes:
        chat_template: see ``PromptConfig``.
        scoring: see ``PromptConfig``.
        examples: question and answer of each few-shot example, by task; may be empty.
    """

    chat_template: bool = True
    scoring: Scoring = "generated"
    examples: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def content_hash(self) -> str:
        """Hash everything that changes a prompt or its score."""
        return content_hash({**vars(self), "examples": dict(self.examples)})

    def chat(self, row: Mapping[str, Any], folders: Sequence[str] = ()) -> dict[str, Any]:
        """Return the fields of the chat request that asks a question, ``messages`` among them.

        Args:
            row: question with task and prompt; its ``request``, if it has one, is sent as it is.
            folders: folders of the questions tables, for the question's images.

        Raises:
            ArtifactError: an image is missing or was changed.
        """
        request = read_request(row)
        if request is not None:
            return request
        messages = self.messages(row["task"], row["prompt"])
        if row.get("images"):
            images = [read_image(name, folders) for name in row["images"]]
            messages[-1] = {"role": "user", "content": with_images(row["prompt"], images)}
        return {"messages": messages}

    def messages(self, task: str, prompt: str) -> list[Message]:
        """Return the chat messages of a question, its few-shot examples first."""
        chat = []
        for question, answer in self.examples.get(task, ()):
            chat.append({"role": "user", "content": question})
            chat.append({"role": "assistant", "content": answer})
        return [*chat, {"role": "user", "content": prompt}]

    def plain_text(self, task: str, prompt: str) -> str:
        """Return the plain-text prompt of a question, its few-shot examples first."""
        shots = [f"{question}\n{_CUE} {answer}" for question, answer in self.examples.get(task, ())]
        return "\n\n".join([*shots, f"{prompt}\n{_CUE}"])


def load_prompts(config: PromptConfig, questions: Iterable[Mapping[str, Any]]) -> Prompts:
    """Read the few-shot examples and check them against the questions.

    Args:
        config: format, scoring and examples.
        questions: rows with question_id, task, prompt, n_choices and request.

    Raises:
        ArtifactError: the table of examples is invalid, has too few examples of a task, or
            contains one of the questions; or loglikelihood scoring meets a question without
            options, or plain text one that brings images or a chat request.
    """
    rows = list(questions)
    own = [row["question_id"] for row in rows if row.get("request") or row.get("images")]
    if own and not config.chat_template:
        raise ArtifactError(
            f"{len(own)} of {len(rows)} questions bring images or a chat request, the first is "
            f"{own[0]!r}; profile with prompt.chat_template: true"
        )
    if config.scoring == "loglikelihood":
        without = [row["question_id"] for row in rows if not row["n_choices"]]
        if without:
            raise ArtifactError(
                f"scoring loglikelihood compares options, and {len(without)} of {len(rows)} "
                f"questions have none (n_choices), the first is {without[0]!r}; remove these "
                "questions, or use scoring generated"
            )
    if config.examples is None:
        return Prompts(config.chat_template, config.scoring)
    examples = _read_examples(config.examples, config.shots, rows)
    return Prompts(config.chat_template, config.scoring, examples)


def _read_examples(
    path: Path, shots: int, questions: list[Mapping[str, Any]]
) -> dict[str, tuple[tuple[str, str], ...]]:
    texts = {row["prompt"] for row in questions}
    tasks = {row["task"] for row in questions}
    by_task: dict[str, list[tuple[str, str]]] = {task: [] for task in tasks}
    for row in read_table(QUESTIONS, path).to_pylist():
        if row["task"] not in by_task or len(by_task[row["task"]]) == shots:
            continue
        if row["prompt"] in texts:
            raise ArtifactError(
                f"{path}: example {row['question_id']!r} is also one of the questions, so its "
                "answer would leak; use examples of another split"
            )
        by_task[row["task"]].append((row["prompt"], row["answer"]))
    short = {task: len(found) for task, found in sorted(by_task.items()) if len(found) < shots}
    if short:
        raise ArtifactError(
            f"{path}: needs {shots} examples of each task, but has fewer for "
            f"{len(short)} tasks: {', '.join(f'{task} ({n})' for task, n in short.items())[:300]}"
        )
    return {task: tuple(found) for task, found in sorted(by_task.items())}
