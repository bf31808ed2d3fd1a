"""Questions about pictures, sent to the served demo zoo over HTTP."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openai import OpenAI

from modelsat.aptitude.prompts import Prompts
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.config import parse_config
from modelsat.demo.workspace import Workspace
from modelsat.evaluation.limit_checks import LimitCheck, at_least
from modelsat.grading.graders import grade_answer
from modelsat.progress import Progress
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig
from serve_app.config import ServeConfig
from tests.benchmarks.served_endpoint import free_port, served

_MIN_GAIN_POINTS = 50.0
_MAX_NEW_TOKENS = 16


@dataclass(frozen=True)
class PictureFigures:
    """Answers to the test questions about pictures.

    Attributes:
        router: share that the endpoint answers right, 0..1.
        chosen: share of the questions that each candidate answered.
        text_only: share that each candidate without vision gets right from the text alone, 0..1.
    """

    router: float
    chosen: Mapping[str, float]
    text_only: Mapping[str, float]

    def check(self) -> LimitCheck:
        """Check the gain over the best candidate that reads text only."""
        gain = 100 * (self.router - max(self.text_only.values()))
        return at_least("pictures: router over best text-only, points", gain, _MIN_GAIN_POINTS)


def measure_pictures(workspace: Workspace, router: str) -> PictureFigures:
    """Serve the zoo and ask every test question about a picture; ask the others without it.

    Args:
        workspace: a finished run with a vision candidate.
        router: name of its router that is served.

    Raises:
        ModelSatError: the endpoint cannot be started, or a candidate cannot be asked.
    """
    answered_by: Counter[str] = Counter()
    scores = []
    rows = read_table(QUESTIONS, workspace.pictures("test")).to_pylist()
    for row, (candidate, text) in zip(rows, _ask(workspace, router, rows), strict=True):
        answered_by[candidate] += 1
        scores.append(grade_answer(row, text).score)
    return PictureFigures(
        router=sum(scores) / len(scores),
        chosen={name: count / len(rows) for name, count in answered_by.items()},
        text_only=_text_alone(workspace, rows),
    )


def _ask(workspace: Workspace, router: str, rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the candidate that answered each question, and its answer."""
    folder = str(workspace.pictures("test").parent)
    port = free_port()
    values = {
        "zoo": str(workspace.zoo),
        "cards": str(workspace.cards),
        "router": str(workspace.router(router)),
        "port": port,
        "registry": {"folder": str(workspace.directory / "registry-pictures")},
    }
    config = parse_config(ServeConfig, values, source="the proof's endpoint")
    answers = []
    with served(config, key="none") as endpoint, Progress("ask", len(rows), "questions") as bar:
        client = OpenAI(base_url=endpoint.url, api_key="none", timeout=300)
        for row in rows:
            messages: Any = Prompts().chat(row, [folder])["messages"]
            completion = client.chat.completions.create(
                model="auto", messages=messages, max_tokens=_MAX_NEW_TOKENS, temperature=0
            )
            answers.append((completion.model, completion.choices[0].message.content or ""))
            bar.advance()
    return answers


def _text_alone(workspace: Workspace, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return how many of the questions each text candidate gets right without the picture."""
    folder = workspace.directory / "pictures-text-alone"
    table = folder / "questions.parquet"
    write_table(QUESTIONS, [{**row, "images": None} for row in rows], table)
    settings = {
        "zoo": str(workspace.zoo),
        "questions": [str(table)],
        "output_dir": str(folder),
        "candidates": [spec.name for spec in workspace.specs],
        "max_parallel_candidates": 2,
        "max_truncated_fraction": 1.0,
    }
    profile_zoo(parse_config(ProfileConfig, settings, source="the proof's text-alone job"))
    outcomes = read_table(OUTCOMES, folder / "outcomes.parquet")
    means = outcomes.group_by("candidate").aggregate([("correct", "mean")]).to_pylist()
    return {row["candidate"]: row["correct_mean"] for row in means}
