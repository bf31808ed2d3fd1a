"""Serving a demo zoo and asking it questions with the official OpenAI client."""

import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openai import OpenAI

from modelsat.command import CommandError, output_lines, running_command
from modelsat.demo.workspace import Workspace
from modelsat.errors import MachineError, QualityError

NUM_ANSWERS = 3  # routed answers to show, each from another candidate
_MAX_NEW_TOKENS = 16
_QUESTIONS_PER_FAMILY = 3


@dataclass(frozen=True)
class RoutedAnswer:
    """One question, and who answered it with what."""

    question: str
    candidate: str
    answer: str
    expected: str


def require_free_port(port: int) -> None:
    """Refuse a port that something listens on, before the work is done rather than after it.

    Raises:
        MachineError: the port is in use.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            raise MachineError(
                f"port {port} is in use; stop what listens there, or choose another with --port"
            ) from None


def ask_routed(workspace: Workspace, serve_config: Path, port: int) -> tuple[RoutedAnswer, ...]:
    """Serve the zoo, ask test questions with ``model: "auto"``, and shut it down.

    Returns:
        One answer from each of three candidates.

    Raises:
        CommandError: the endpoint did not come up.
        QualityError: fewer than three candidates were chosen.
    """
    with _endpoint(workspace, serve_config):
        client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="unused")
        answers: dict[str, RoutedAnswer] = {}
        for question, expected in _sample_questions(workspace):
            answer = _ask(client, question, expected)
            answers.setdefault(answer.candidate, answer)
            if len(answers) == NUM_ANSWERS:
                return tuple(answers.values())
    raise QualityError(
        f"only {', '.join(answers) or 'no candidate'} answered; the sample questions should "
        f"reach {NUM_ANSWERS} candidates: is the router trained?"
    )


@contextmanager
def _endpoint(workspace: Workspace, serve_config: Path) -> Iterator[None]:
    with running_command(["serve", "--config", str(serve_config)]) as process:
        lines: list[str] = []
        for line in output_lines(process):
            lines.append(line)
            if line.startswith("serving at "):
                break
            if not line.startswith("\x1b") and "pid=" not in line:
                workspace.echo(line)
        else:
            errors = [line for line in lines if line.startswith("error: ")] or lines[-5:]
            raise CommandError(f"`modelsat serve` ended: {' / '.join(errors)}")
        # Its further output must be read, or its pipe fills up and it stops.
        reader = threading.Thread(target=lambda: list(output_lines(process)), daemon=True)
        reader.start()
        yield


def _ask(client: OpenAI, question: str, expected: str) -> RoutedAnswer:
    completion = client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": question}],
        max_tokens=_MAX_NEW_TOKENS,
        temperature=0,
    )
    text = completion.choices[0].message.content or ""
    return RoutedAnswer(question, completion.model, text.strip(), expected)


def _sample_questions(workspace: Workspace) -> list[tuple[str, str]]:
    """Short-answer test questions, taking turns between the families."""
    by_family: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in workspace.test_questions().to_pylist():
        own = by_family[row["category"]]
        if row["n_choices"] is None and len(own) < _QUESTIONS_PER_FAMILY:
            own.append((row["prompt"], row["answer"]))
    turns = zip(*(by_family[family] for family in sorted(by_family)), strict=False)
    return [question for turn in turns for question in turn]
