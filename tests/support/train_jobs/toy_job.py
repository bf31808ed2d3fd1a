"""A training job on toy tables, seconds long."""

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import write_cards
from tests.support.router_parts import TASKS, make_matrix
from train_jobs.config import TrainJobConfig

PATIENCE = 2  # epochs of an overfitting job's stage ``all``


def write_toy_tables(folder: Path, wrong_fraction: float = 0.0) -> Path:
    """Questions, outcomes, cards and tasks of the toy matrix.

    Args:
        folder: where the tables go.
        wrong_fraction: share of the outcomes turned round, which can only be learnt by heart.
    """
    matrix = make_matrix()
    turned = np.random.default_rng(0).random(matrix.correct_QM.shape) < wrong_fraction
    correct_QM = np.where(turned, 1 - matrix.correct_QM, matrix.correct_QM)
    TASKS.save(folder / "tasks.json")
    write_cards(matrix.cards, folder / "cards.parquet")
    rows = zip(matrix.question_ids, matrix.instructions, matrix.tasks, strict=True)
    questions = [
        {"question_id": q, "benchmark": "toy", "task": task, "prompt": text, "answer": "x"}
        for q, text, task in rows
    ]
    write_table(QUESTIONS, questions, folder / "questions.parquet")
    outcomes = [
        {"question_id": q, "candidate": name, "correct": float(correct_QM[i, j])}
        for i, q in enumerate(matrix.question_ids)
        for j, name in enumerate(matrix.candidates)
    ]
    write_table(OUTCOMES, outcomes, folder / "outcomes.parquet")
    return folder


def job_values(tables: Path, out: Path) -> dict[str, Any]:
    """The job as a configuration file holds it; in float32 whatever the processor."""
    return {
        "name": "toy",
        "storage_path": str(out / "training"),
        "router_dir": str(out / "router"),
        "data": [
            {
                "questions": [str(tables / "questions.parquet")],
                "outcomes": str(tables / "outcomes.parquet"),
                "cards": str(tables / "cards.parquet"),
                "tasks": str(tables / "tasks.json"),
            }
        ],
        "model": {"base": "tiny", "encoder": "tiny"},
        "training": {
            "batch_size": 8,
            "composites": 8,
            "connector_stage": {
                "epochs": 2,
                "learning_rate": 1e-3,
                "capability_learning_rate": 1e-2,
            },
            "all_stage": {"epochs": 3, "learning_rate": 2e-3, "capability_learning_rate": 3e-3},
        },
        "deepspeed": {"precision": "float32"},
    }


def overfitting_job(tables: Path, out: Path, **changes: Any) -> TrainJobConfig:
    """A job on noisy tables that would go on for longer than is good for it."""
    values = {**job_values(tables, out), **changes}
    training = values["training"]
    training |= {"composites": 0, "validate_every_steps": 5}
    training["connector_stage"]["epochs"] = 1
    training["all_stage"] |= {"epochs": 12, "patience": PATIENCE}
    return TrainJobConfig.model_validate(values)


def weights(config: TrainJobConfig) -> dict[str, torch.Tensor]:
    """All weights of a job's router directory."""
    return {
        f"{path.relative_to(config.router_dir)}/{name}": value
        for path in sorted(config.router_dir.rglob("*.safetensors"))
        for name, value in safetensors.torch.load_file(path).items()
    }


def same_weights(one: TrainJobConfig, other: TrainJobConfig) -> bool:
    """Whether two jobs wrote the same weights, bit by bit."""
    expected, found = weights(one), weights(other)
    assert found.keys() == expected.keys()
    return all(torch.equal(found[name], value) for name, value in expected.items())
