"""A small quality benchmark: tables of three sources, a recipe of their zoos, and a tiny preset."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.modeling.tiny import write_tiny_parts
from modelsat.preparation.recipe import Recipe

TASKS = ("elementary_mathematics", "professional_law", "virology", "philosophy")
QUESTIONS_PER_TASK = 25
SKILL = {"weak": 0.35, "middle": 0.5, "strong": 0.7, "early": 0.45, "late": 0.6, "first": 0.55}
PAIR = {"gpt-4-1106-preview": 0.9, "Mixtral-8x7B-Instruct-v0.1": 0.3}
CROWD = {"one": 0.5, "two": 0.4}
_SOURCES = {"helm-mmlu": SKILL, "routellm": PAIR, "fasteval": CROWD}
_CROWD_PER_TASK = 8

RECIPE = Recipe.model_validate(
    {
        "zoos": [
            {
                "name": "mmlu",
                "sources": ["helm-mmlu"],
                "aptitude_test": {
                    "kind": "selected",
                    "benchmark": "mmlu",
                    "num_tasks": len(TASKS),
                    "shots": 5,
                },
                "training_benchmarks": ["mmlu"],
            },
            {
                "name": "routellm",
                "sources": ["routellm"],
                "aptitude_test": {"kind": "shared", "zoo": "mmlu"},
                "training_benchmarks": ["gsm8k"],
            },
            {
                "name": "fasteval",
                "sources": ["fasteval"],
                "aptitude_test": {"kind": "whole_benchmark", "benchmark": "mmlu"},
                "training_benchmarks": ["gsm8k", "math"],
            },
        ]
    }
)


def write_tables(folder: Path) -> Path:
    """Write questions and outcomes: some candidates answered MMLU, others further benchmarks."""
    rng = np.random.default_rng(0)
    questions = [
        {"question_id": f"{benchmark}/{task}/{i}", "benchmark": benchmark, "task": task}
        | {"prompt": f"Question {i} about {task} of {benchmark}?\nA. yes\nB. no", "answer": "A"}
        for benchmark, tasks, count in (
            ("mmlu", TASKS, QUESTIONS_PER_TASK),
            ("gsm8k", ("gsm8k",), 60),
            ("math", ("math",), 20),
        )
        for task in tasks
        for i in range(count)
    ]
    taste = {row["task"]: rng.normal(0, 0.15, size=8) for row in questions}
    outcomes = [
        {"question_id": row["question_id"], "candidate": name, "source": source}
        | {"correct": float(rng.random() < np.clip(skill + taste[row["task"]][place], 0.1, 0.9))}
        for source, zoo in _SOURCES.items()
        for place, (name, skill) in enumerate(zoo.items())
        for row in questions
        if _answers(source, row)
    ]
    write_table(QUESTIONS, questions, folder / "questions.parquet")
    write_table(OUTCOMES, outcomes, folder / "outcomes.parquet")
    return folder


def _answers(source: str, question: dict[str, Any]) -> bool:
    number = int(question["question_id"].rsplit("/")[-1])
    if question["benchmark"] == "mmlu":
        return source != "fasteval" or number < _CROWD_PER_TASK
    return source != "helm-mmlu"


def write_preset(folder: Path) -> Path:
    """Write a training job of two steps per stage on a tiny random network."""
    words = [
        f"question {i} about {task.replace('_', ' ')} of mmlu? yes no"
        for i in range(9)
        for task in TASKS
    ]
    base, encoder = write_tiny_parts(folder / "parts", words, seed=0)
    stage = {"epochs": 1, "max_steps": 2, "learning_rate": 1e-3, "capability_learning_rate": 1e-3}
    job = {
        "model": {"base": str(base), "encoder": str(encoder)},
        "training": {
            "connector_stage": stage,
            "all_stage": stage,
            "frozen_layers": 1,
            "effect_instructions": 200,
        },
        "resources": {"num_workers": 1},
    }
    path = folder / "preset.yaml"
    path.write_text(yaml.safe_dump(job))
    return path
