"""The same prompts and the same local model: our answers are lm-eval's, question by question."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.evaluation_logs.alignment import Source, write_outcomes
from modelsat.evaluation_logs.answer import LeftOut
from modelsat.evaluation_logs.readers import open_reader
from modelsat.grading.regrading import regrade
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig
from tests.integration.profiling import lm_eval_answers
from tests.integration.profiling.lm_eval_answers import LETTERS, MAX_NEW_TOKENS
from tests.support.profiling.tiny_model import WORDS, save_tiny_model, zoo_entry

pytestmark = pytest.mark.ray

HARNESS = Path(sys.prefix) / "lm-eval"  # where `make setup` puts it, apart from our own packages
NUM_QUESTIONS = 24
SHOTS = 2
SETTINGS: list[dict[str, Any]] = [
    {"name": "plain_options", "chat_template": False, "scoring": "loglikelihood", "shots": SHOTS},
    {"name": "chat_options", "chat_template": True, "scoring": "loglikelihood", "shots": SHOTS},
    {"name": "plain_text", "chat_template": False, "scoring": "generated", "shots": 0},
]
# What only lm-eval is asked, for its logs.
LOGGED: list[dict[str, Any]] = [
    *SETTINGS,
    {"name": "plain_shots", "chat_template": False, "scoring": "generated", "shots": SHOTS},
    {"name": "chat_text", "chat_template": True, "scoring": "generated", "shots": 0},
]
# Two engines add in another order; what lies closer than this may come out either way.
TIE = 1e-3


def _question(i: int) -> dict[str, Any]:
    stem = " ".join(WORDS[(7 * i + 3 * j) % len(WORDS)] for j in range(3 + i % 4))
    options = [f"{letter}. {WORDS[(5 * i + j) % len(WORDS)]}" for j, letter in enumerate(LETTERS)]
    return {
        "question_id": f"q{i:02d}",
        "benchmark": "words",
        "task": "words",
        "prompt": "\n".join([stem, *options]),
        "answer": LETTERS[i % 4],
        "n_choices": 4,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and questions, as tables for us and as lines for lm-eval."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("harness")
    save_tiny_model(folder / "model", seed=3)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    # A line of its own for the answer: this vocabulary takes "<assistant>A" for one unknown word.
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m['role'] }}>\n{{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant>\n{% endif %}"
    )
    tokenizer.save_pretrained(folder / "model")
    zoo = {"version": 1, "candidates": [zoo_entry("tiny", folder / "model")]}
    (folder / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    questions = [_question(i) for i in range(NUM_QUESTIONS + SHOTS)]
    parts = {"examples": questions[:SHOTS], "questions": questions[SHOTS:]}
    for name, rows in parts.items():
        write_table(QUESTIONS, rows, folder / f"{name}.parquet")
        lines = [json.dumps({**row, "answer_index": LETTERS.index(row["answer"])}) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "asked.json").write_text(json.dumps(LOGGED))
    return folder


@pytest.fixture(scope="module")
def theirs(folder: Path) -> list[list[Any]]:
    """lm-eval's answers, setting by setting: likelihoods of the options, or a text."""
    assert HARNESS.is_dir(), "lm-eval is not there; run make setup"
    environment = {
        **os.environ,
        "PYTHONPATH": str(HARNESS),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(folder / "cache"),
        "HF_HOME": str(folder / "home"),
    }
    command = [sys.executable, lm_eval_answers.__file__, str(folder / "model"), str(folder)]
    run = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    answers: list[list[Any]] = json.loads((folder / "answers.json").read_text())
    return answers


def test_its_sample_logs_are_imported_and_graded_alike(
    folder: Path, theirs: list[list[Any]], tmp_path: Path
) -> None:
    """Each of its five tasks; its metrics compare options, or whole texts."""
    for setting in LOGGED:
        left_out = LeftOut()
        logs = next((folder / "logs").rglob(f"samples_{setting['name']}_*.jsonl"))
        (tmp_path / setting["name"] / "org__tiny").mkdir(parents=True)
        shutil.copy(logs, tmp_path / setting["name"] / "org__tiny")
        answers = open_reader("lm_eval", ())([tmp_path / setting["name"]], left_out)
        out = tmp_path / setting["name"] / "out"
        found = write_outcomes(answers, Source("lm_eval", "words"), out, left_out)
        assert (found.num_outcomes, found.left_out) == (NUM_QUESTIONS, {}), setting
        questions = read_table(QUESTIONS, out / "questions.parquet").to_pylist()
        before = read_table(OUTCOMES, out / "outcomes.parquet")
        after = regrade(before, {row["question_id"]: row for row in questions})
        differing = [
            (one["output"], one["correct"], other["correct"])
            for one, other in zip(before.to_pylist(), after.to_pylist(), strict=True)
            if one["correct"] != other["correct"]
        ]
        assert differing == [], setting
        outputs = [text.strip() for text in before["output"].to_pylist()]
        if setting["scoring"] == "generated":
            expected = theirs[LOGGED.index(setting)]
            assert outputs == [text.strip() for text in expected]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting["name"])
def test_answers_are_those_of_lm_eval(
    folder: Path, theirs: list[list[Any]], ray_cluster: None, setting: dict[str, Any]
) -> None:
    prompt = {key: setting[key] for key in ("chat_template", "scoring", "shots")}
    config = {
        "zoo": str(folder / "zoo.yaml"),
        "questions": [str(folder / "questions.parquet")],
        "output_dir": str(folder / setting["name"]),
        "max_new_tokens": MAX_NEW_TOKENS,
        "max_truncated_fraction": 1.0,
        "candidate_deadline_s": 500,
        "prompt": prompt
        | {"examples": str(folder / "examples.parquet") if setting["shots"] else None},
    }
    report = profile_zoo(ProfileConfig.model_validate(config))
    assert report["failures"] == []
    ours = read_table(OUTCOMES, folder / setting["name"] / "outcomes.parquet").to_pylist()
    expected = theirs[SETTINGS.index(setting)]
    assert len(ours) == len(expected) == NUM_QUESTIONS
    [candidate] = report["candidates"]
    if setting["scoring"] == "generated":
        assert candidate["num_near_ties"] is None
        assert [row["output"].strip() for row in ours] == [text.strip() for text in expected]
        return
    likelihoods_QO = np.array(expected)
    ordered_QO = np.sort(likelihoods_QO, axis=1)
    is_clear_Q = ordered_QO[:, -1] - ordered_QO[:, -2] > TIE
    chosen = [LETTERS[i] for i in likelihoods_QO.argmax(axis=1)]
    assert is_clear_Q.sum() >= NUM_QUESTIONS - 2
    assert candidate["num_near_ties"] == NUM_QUESTIONS - is_clear_Q.sum()
    assert len(set(chosen)) > 1
    for row, letter, is_clear in zip(ours, chosen, is_clear_Q, strict=True):
        if is_clear:
            assert row["output"] == letter, row["question_id"]
            right = _question(int(row["question_id"][1:]))["answer"] == letter
            assert row["correct"] == float(right)
