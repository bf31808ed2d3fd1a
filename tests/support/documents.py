"""The fenced blocks of the documents, and the folder in which their commands run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from typer.testing import CliRunner

from modelsat.aptitude.tasks import load_tasks
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.cli.main import app
from modelsat.demo.bank import TASKS, generate_questions
from modelsat.modeling.calibration import Calibration
from modelsat.modeling.checkpoint import Router, save_router
from modelsat.modeling.config import ModelConfig
from modelsat.modeling.loading import build_model
from modelsat.modeling.tiny import write_tiny_parts

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
CANDIDATES = ("gpt-4o", "qwen2.5-7b", "numbers", "letters")
FENCE = re.compile(
    r"(?:^ *<!-- needs: (?P<needs>[^\n]+) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        document: the file that shows it.
        language: as stated after the fence.
        title: name of the file that it shows, if any.
        needs: what its commands need beyond this machine; None: they run in the test.
        body: its text, without indentation.
    """

    document: Path
    language: str
    title: str | None
    needs: str | None
    body: str

    @property
    def commands(self) -> list[list[str]]:
        """The commands of a shell block, each split into words."""
        lines = self.body.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks_of(document: Path) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    for match in FENCE.finditer(document.read_text()):
        body = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        yield Block(document, match["language"], match["title"], match["needs"], body)


def write_workspace(folder: Path) -> None:
    """Write the tables, cards, router and zoo that the documents name."""
    questions = pa.Table.from_pylist(
        [row | {"benchmark": "mine"} for row in generate_questions("aptitude", 22, 0).to_pylist()]
    )
    keywords = {task.name: list(task.keywords) for task in TASKS}
    (folder / "keywords.yaml").write_text(yaml.safe_dump(keywords))
    write_table(QUESTIONS, questions, folder / "questions.parquet")
    write_table(QUESTIONS, questions, folder / "aptitude.parquet")
    write_table(OUTCOMES, _outcomes(questions), folder / "outcomes.parquet")
    _write_own_questions(folder / "mine.csv")
    tables = ["--questions", "questions.parquet", "--outcomes", "outcomes.parquet"]
    test = ["--benchmark", "mine", "--keywords", "keywords.yaml", "--out", "tasks.json"]
    run_in(folder, ["tasks", "select", *tables, *test])
    cards = ["--tasks", "tasks.json", "--out", "cards.parquet"]
    run_in(folder, ["cards", "build", *tables, *cards])
    save_router(_router(folder, questions), folder / "router")
    _write_quickstart(folder)


def run_in(folder: Path, arguments: list[str]) -> None:
    """Run a `modelsat` command in the current folder, which must be the given one."""
    assert Path.cwd() == folder
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, f"modelsat {shlex.join(arguments)}\n{result.output}"


def _outcomes(questions: pa.Table) -> list[dict[str, object]]:
    """Each candidate is right on every fourth task and wrong on another; else it guesses."""
    rng = np.random.default_rng(0)
    rows = []
    for row in questions.to_pylist():
        task = sum(row["task"].encode())
        for place, name in enumerate(CANDIDATES):
            rank = (task + place) % len(CANDIDATES)
            correct = {0: 1.0, 1: 0.0}.get(rank, float(rng.random() < 0.3))
            rows.append({"question_id": row["question_id"], "candidate": name, "correct": correct})
    return rows


def _write_own_questions(path: Path) -> None:
    path.write_text(
        "question_id,benchmark,task,split,prompt,answer\n"
        "one,mine,support,aptitude,Which plan has phone support?,premium\n"
    )


def _router(folder: Path, questions: pa.Table) -> Router:
    tasks = load_tasks(folder / "tasks.json")
    texts = [*questions["prompt"].to_pylist(), *(" ".join(t.keywords) for t in tasks.tasks)]
    base, encoder = write_tiny_parts(folder / "parts", texts, 0)
    config = ModelConfig(base=str(base), encoder=str(encoder), max_instruction_tokens=32)
    model, tokenizer = build_model(config, 0)
    return Router(model.eval(), tokenizer, config, Calibration(scale=1.0, shift=0.0), (tasks,), {})


def _write_quickstart(folder: Path) -> None:
    """Links from the folders of the quickstart to the same artifacts."""
    run = folder / "runs" / "quickstart"
    for name, target in {
        "profile/cards.parquet": "cards.parquet",
        "profile/outcomes.parquet": "outcomes.parquet",
        "questions/test.parquet": "questions.parquet",
        "tasks.json": "tasks.json",
        "routers/router": "router",
    }.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).symlink_to(folder / target)
    entries = []
    for name in CANDIDATES:
        model = run / "models" / name
        model.mkdir(parents=True)
        (model / "config.json").write_text("{}")
        (model / "model.safetensors").write_bytes(b"")
        loading = {"model_id": name, "model_source": f"./models/{name}"}
        price = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
        entries.append(
            {
                "name": name,
                "engine": "vllm",
                "llm_config": {"model_loading_config": loading},
                "price": price,
                "context_window": 512,
            }
        )
    zoo = yaml.safe_dump({"version": 1, "candidates": entries})
    (run / "zoo.yaml").write_text(zoo)
    (folder / "zoo.yaml").write_text(zoo.replace("./models", "./runs/quickstart/models"))
    (folder / "profile.yaml").write_text(
        "{zoo: zoo.yaml, questions: [aptitude.parquet], output_dir: profile}"
    )
