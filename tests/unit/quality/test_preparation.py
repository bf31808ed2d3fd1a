"""Real tables become aptitude test, cards and training job; small synthetic tables stand in."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from modelsat.aptitude.keywords import load_keywords
from modelsat.aptitude.tasks import load_tasks
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.capability.cards import read_cards
from modelsat.cli.main import app
from modelsat.config import load_config
from modelsat.errors import ArtifactError, ConfigError
from modelsat.outcomes.joining import load_matrix
from modelsat.outcomes.splits import fold_of
from modelsat.quality.preparation import prepare_slice
from modelsat.quality.router import write_job
from modelsat.quality.tables import load_tables
from train_jobs.config import TrainJobConfig

LITE = Path(__file__).parents[3] / "train_jobs" / "configs" / "lite.yaml"
SKILL = {"weak": 0.35, "middle": 0.55, "strong": 0.75, "held": 0.6}
TASKS = sorted(load_keywords("mmlu"))[:52]
PER_TASK = 45


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Tables of the MMLU slice: 52 tasks, four candidates, one that answered too little."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    questions = [
        {"question_id": f"{task}/{i}", "benchmark": "mmlu", "task": task, "answer": "A"}
        | {"prompt": f"Question {i} of {task}?\nA. yes\nB. no", "dup_group": None}
        for task in TASKS
        for i in range(PER_TASK)
    ]
    questions[1]["prompt"] = "  "
    questions[2]["dup_group"] = questions[3]["dup_group"] = "twins"
    write_table(QUESTIONS, questions, folder / "questions.parquet")
    cells = []
    for name, skill in SKILL.items():
        level = {task: np.clip(skill + rng.normal(0, 0.15), 0.1, 0.9) for task in TASKS}
        cells += [
            (row["question_id"], name, float(rng.random() < level[row["task"]]))
            for row in questions
        ]
    cells += [(row["question_id"], "idle", 1.0) for row in questions[:100]]
    write_outcomes(cells, folder)
    return folder


def write_outcomes(cells, folder: Path) -> None:
    rows = [
        {"question_id": q, "candidate": c, "source": "helm-mmlu", "correct": value}
        for q, c, value in cells
    ]
    write_table(OUTCOMES, rows, folder / "outcomes.parquet")


def test_a_slice_says_what_it_leaves_out(data):
    lines: list[str] = []
    (tables,) = load_tables(data, lines.append).slices
    assert tables.candidates == ("held", "middle", "strong", "weak")
    assert tables.left_out == {"idle": 99}
    assert tables.num_blank == 1
    assert lines[0].endswith("left out: idle (99 answers), 1 questions without text")
    assert lines[1] == f"mmlu_pro: not in {data}"


def test_test_questions_and_held_out_candidates_reach_no_training(data, tmp_path):
    (tables,) = load_tables(data, print).slices
    prepared = prepare_slice(
        tables,
        tmp_path / "mmlu",
        is_training=lambda group: fold_of(group, 5) != 0,
        held_out={"held"},
        echo=print,
    )
    training = read_table(QUESTIONS, prepared.training_questions)
    judged = read_table(QUESTIONS, prepared.test_questions)
    tasks = load_tasks(prepared.tasks)
    assert len(tasks.tasks) == 50
    assert set(tasks.question_ids) <= set(training["question_id"].to_pylist())
    assert not set(training["dup_group"].to_pylist()) & set(judged["dup_group"].to_pylist())
    assert training.num_rows + judged.num_rows == 52 * PER_TASK - 1
    cards = read_cards(prepared.cards)
    assert set(cards) == set(SKILL)
    outcomes = {
        (row["question_id"], row["candidate"]): row["correct"]
        for row in read_table(OUTCOMES, prepared.outcomes).to_pylist()
    }
    for name, card in cards.items():
        for statement, task in zip(card.statements, tasks.tasks, strict=True):
            counted = sum(outcomes[q, name] for q in task.question_ids)
            assert statement.num_correct == counted
    assert prepared.trained_on == ("middle", "strong", "weak")


def test_what_the_held_out_candidate_answered_changes_no_choice_of_questions(data, tmp_path):
    cells = [
        (row["question_id"], row["candidate"], row["correct"])
        for row in read_table(OUTCOMES, data / "outcomes.parquet").to_pylist()
    ]
    other = tmp_path / "other"
    write_table(QUESTIONS, read_table(QUESTIONS, data / "questions.parquet"), other / "q.parquet")
    (other / "q.parquet").rename(other / "questions.parquet")
    write_outcomes([(q, c, 1 - v if c == "held" else v) for q, c, v in cells], other)
    chosen = []
    for folder, name in ((data, "one"), (other, "two")):
        (tables,) = load_tables(folder, print).slices
        prepared = prepare_slice(tables, tmp_path / name, held_out={"held"}, echo=print)
        chosen.append(load_tasks(prepared.tasks))
    assert chosen[0] == chosen[1]


def test_the_lite_job_is_valid_and_its_tables_load(data, tmp_path):
    (tables,) = load_tables(data, print).slices
    prepared = prepare_slice(tables, tmp_path / "mmlu", echo=print)
    lines: list[str] = []
    path = write_job(
        LITE,
        [prepared.data_set()],
        tmp_path / "router",
        tmp_path / "work",
        seed=3,
        echo=lines.append,
    )
    job = load_config(TrainJobConfig, path)
    assert job.training.seed == 3
    assert Path(job.model.base).is_dir()
    assert "from the installed package" in lines[0]
    (entry,) = job.data
    matrix = load_matrix(entry.questions, entry.outcomes, tuple(read_cards(entry.cards).values()))
    assert matrix.candidates == tuple(sorted(SKILL))


def test_outcomes_of_unknown_questions_are_refused(data, tmp_path):
    write_table(QUESTIONS, read_table(QUESTIONS, data / "questions.parquet"), tmp_path / "q")
    (tmp_path / "q").rename(tmp_path / "questions.parquet")
    write_outcomes([("nowhere", "weak", 1.0)], tmp_path)
    with pytest.raises(ArtifactError, match=r"1 outcomes stand for questions .* 'nowhere'"):
        load_tables(tmp_path, print)


def test_a_folder_without_the_benchmarks_is_refused(tmp_path):
    row = {"question_id": "q", "benchmark": "other", "task": "t", "prompt": "p", "answer": "a"}
    write_table(QUESTIONS, [row], tmp_path / "questions.parquet")
    write_outcomes([("q", "weak", 1.0)], tmp_path)
    with pytest.raises(ArtifactError, match="none of the benchmarks to train on: mmlu"):
        load_tables(tmp_path, print)


def test_a_preset_that_is_no_job_is_refused(tmp_path):
    (tmp_path / "p.yaml").write_text("name: x")
    with pytest.raises(ConfigError, match="lacks model and training"):
        write_job(tmp_path / "p.yaml", [], tmp_path / "r", tmp_path, echo=print)


def test_the_command_is_a_subcommand_and_refuses_in_one_line(tmp_path):
    shown = CliRunner().invoke(
        app, ["quality", "train", "--data", str(tmp_path), "--out", str(tmp_path / "router")]
    )
    assert shown.exit_code == ArtifactError.exit_code
    assert shown.stderr.startswith("error: ")
    assert "questions.parquet" in shown.stderr
