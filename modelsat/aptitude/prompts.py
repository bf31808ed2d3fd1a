"""How a question is put to a candidate: worked examples before it, as a chat or as plain text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_table
from modelsat.config import FrozenConfig
from modelsat.errors import ArtifactError

Scoring = Literal["generated", "loglikelihood"]
Message = dict[str, str]  # of a chat: role and content

_CUE = "Answer:"  # ends a plain prompt, as in lm-eval's MMLU
# Between the cue and an answer: plain text reads on after a blank, a chat's answer starts anew.
ANSWER_DELIMITER = {False: " ", True: ""}
# Ends a plain answer: what comes after a blank line is a question of the model's own making.
PLAIN_STOP = "\n\n"
TEMPERATURE = 0.0  # every answer is the likeliest
_SAID_ELSEWHERE = frozenset({"model", "messages", "stream", "n"})


def check_request_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields for the requests to a candidate behind a URL, if they may be given.

    Raises:
        ValueError: one of them is said by the zoo or the questions.
    """
    taken = sorted(_SAID_ELSEWHERE & set(fields))
    if taken:
        raise ValueError(f"{taken} cannot be changed; the zoo and the questions say them")
    return fields


def request_fields(fields: Mapping[str, Any], max_new_tokens: int) -> dict[str, Any]:
    """Fields of a request beside model and messages; a null among those given removes one."""
    ours = {"temperature": TEMPERATURE, "max_tokens": max_new_tokens, **fields}
    return {name: value for name, value in ours.items() if value is not None}


class PromptConfig(FrozenConfig):
    """How questions are put and what of an answer counts.

    Attributes:
        chat_template: whether questions are user messages under the candidate's chat template;
            false puts one plain text that ends in "Answer:", for base models.
        scoring: ``generated`` grades the text of the greedy answer; ``loglikelihood`` takes the
            option whose letter is likeliest to come next, so that no answer is unparsable.
        shots: worked examples before each question, the first so many of its task.
        examples: questions table (parquet) that holds them, with none that is asked.
    """

    chat_template: bool = True
    scoring: Scoring = "generated"
    shots: int = Field(default=0, ge=0)
    examples: Path | None = None

    @model_validator(mode="after")
    def _examples_fit(self) -> Self:
        if bool(self.shots) != bool(self.examples):
            raise ValueError(
                f"shots {self.shots} and examples {self.examples} do not fit: give both a table "
                "of examples and how many of each task, or neither"
            )
        return self


@dataclass(frozen=True)
class Prompts:
    """Puts questions as a :class:`PromptConfig` says; a plain value that crosses processes.

    Attributes:
        chat_template: see ``PromptConfig``.
        scoring: see ``PromptConfig``.
        examples: question and answer of each worked example, by task; empty without any.
    """

    chat_template: bool = True
    scoring: Scoring = "generated"
    examples: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def content_hash(self) -> str:
        """Hash of everything that changes what is put or what counts."""
        return content_hash({**vars(self), "examples": dict(self.examples)})

    def messages(self, task: str, prompt: str) -> list[Message]:
        """The chat that asks a question: each example as a message and its answer."""
        chat = []
        for question, answer in self.examples.get(task, ()):
            chat.append({"role": "user", "content": question})
            chat.append({"role": "assistant", "content": answer})
        return [*chat, {"role": "user", "content": prompt}]

    def plain_text(self, task: str, prompt: str) -> str:
        """The text that asks a question and ends where its answer begins."""
        shown = [f"{question}\n{_CUE} {answer}" for question, answer in self.examples.get(task, ())]
        return "\n\n".join([*shown, f"{prompt}\n{_CUE}"])


def load_prompts(config: PromptConfig, asked: Iterable[Mapping[str, Any]]) -> Prompts:
    """Read the worked examples and check them against the questions that will be asked.

    Args:
        config: what is wanted.
        asked: rows with question_id, task, prompt and n_choices.

    Raises:
        ArtifactError: the table of examples is wrong, has too few of a task, or holds a question
            that is asked; or a question has no options whose likelihood could be compared.
    """
    rows = list(asked)
    if config.scoring == "loglikelihood":
        without = [row["question_id"] for row in rows if not row["n_choices"]]
        if without:
            raise ArtifactError(
                f"scoring loglikelihood compares options, and {len(without)} of {len(rows)} "
                f"questions have none (n_choices), the first is {without[0]!r}; leave such "
                "questions out, or use scoring generated"
            )
    if config.examples is None:
        return Prompts(config.chat_template, config.scoring)
    examples = _read_examples(config.examples, config.shots, rows)
    return Prompts(config.chat_template, config.scoring, examples)


def _read_examples(
    path: Path, shots: int, asked: list[Mapping[str, Any]]
) -> dict[str, tuple[tuple[str, str], ...]]:
    texts = {row["prompt"] for row in asked}
    by_task: dict[str, list[tuple[str, str]]] = {task: [] for task in {r["task"] for r in asked}}
    for row in read_table(QUESTIONS, path).to_pylist():
        if row["task"] not in by_task or len(by_task[row["task"]]) == shots:
            continue
        if row["prompt"] in texts:
            raise ArtifactError(
                f"{path}: example {row['question_id']!r} is among the questions that are asked, "
                "and would give its answer away; take examples of another split"
            )
        by_task[row["task"]].append((row["prompt"], row["answer"]))
    short = {task: len(found) for task, found in sorted(by_task.items()) if len(found) < shots}
    if short:
        raise ArtifactError(
            f"{path}: {shots} examples of each task are wanted, and there are fewer for "
            f"{len(short)} tasks: {', '.join(f'{task} ({n})' for task, n in short.items())[:300]}"
        )
    return {task: tuple(found) for task, found in sorted(by_task.items())}
