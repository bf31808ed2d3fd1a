"""Serving a demo zoo and asking it questions with the official OpenAI client."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openai import OpenAI

from modelsat.command import CommandError, output_lines, running_command
from modelsat.demo.workspace import Workspace
from modelsat.errors import MachineError, QualityError
from modelsat.progress import Progress

_ANSWERED = "facts"  # the family whose question is answered, by the candidate held out
_MIN_CANDIDATES = 3  # the questions should reach this many
_MAX_NEW_TOKENS = 16


@dataclass(frozen=True)
class RoutedQuestion:
    """One question, and the candidate that the endpoint chose for it.

    Attributes:
        question: its text.
        candidate: the candidate chosen.
        p_correct: the router's P(correct) of that candidate.
        answer: the candidate's answer; None if it was not asked.
    """

    question: str
    candidate: str
    p_correct: float
    answer: str | None = None


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


def ask_routed(workspace: Workspace, serve_config: Path, port: int) -> tuple[RoutedQuestion, ...]:
    """Serve the zoo, ask where a question of each family would go, have one answered, and stop.

    Raises:
        CommandError: the endpoint did not come up.
        QualityError: fewer than three candidates were chosen.
    """
    with _endpoint(workspace, serve_config):
        client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="unused")
        asked = {family: _explain(client, text) for family, text in _questions(workspace).items()}
        chosen = {question.candidate for question in asked.values()}
        if len(chosen) < _MIN_CANDIDATES:
            raise QualityError(
                f"only {', '.join(sorted(chosen))} would answer; the sample questions should "
                f"reach {_MIN_CANDIDATES} candidates: is the router trained?"
            )
        workspace.echo(f"asking {asked[_ANSWERED].candidate}, which wakes first")
        with Progress("wait for the answer"):
            asked[_ANSWERED] = _answer(client, asked[_ANSWERED])
    return tuple(asked.values())


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


def _explain(client: OpenAI, question: str) -> RoutedQuestion:
    messages = [{"role": "user", "content": question}]
    found: Any = client.post("/route", cast_to=object, body={"messages": messages})
    chosen = found["selected_model"]
    p_correct = dict(zip(found["model_names"], found["confidences"], strict=True))[chosen]
    return RoutedQuestion(question, chosen, p_correct)


def _answer(client: OpenAI, routed: RoutedQuestion) -> RoutedQuestion:
    completion = client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": routed.question}],
        max_tokens=_MAX_NEW_TOKENS,
        temperature=0,
    )
    text = completion.choices[0].message.content or ""
    return replace(routed, candidate=completion.model, answer=text.strip())


def _questions(workspace: Workspace) -> dict[str, str]:
    """Return the first short-answer test question of each family."""
    firsts: dict[str, str] = {}
    for row in workspace.test_questions().to_pylist():
        if row["n_choices"] is None:
            firsts.setdefault(row["category"], row["prompt"])
    return firsts
