"""Scores of models on two forms of the general test.

Shapes: T tasks, L levels.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from modelsat.aptitude.general import generate_form
from modelsat.aptitude.general.task import NUM_LEVELS
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.errors import GradingError
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig

_CONTEXT_TOKENS = 2048
_ANSWER_TOKENS = 384
_KV_CACHE_BYTES = 1 << 30
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FormScores:
    """A model's scores on one form.

    Attributes:
        by_task_T: mean score of each task, 0..1.
        by_level_L: mean score of each level, 0..1.
        num_questions: questions of the form.
        accuracy: mean score of all, 0..1.
        num_truncated: answers that were cut off.
    """

    by_task_T: Floats
    by_level_L: Floats
    num_questions: int
    accuracy: float
    num_truncated: int


@dataclass(frozen=True)
class ModelFigures:
    """A model's scores on two forms.

    Attributes:
        name: name of the model.
        forms: scores on each form.
    """

    name: str
    forms: tuple[FormScores, FormScores]

    @property
    def difference(self) -> float:
        """Score of the first form minus that of the second."""
        return self.forms[0].accuracy - self.forms[1].accuracy

    @property
    def standard_error(self) -> float:
        """Standard error of the difference, if questions were drawn from tasks at random."""
        variances = (one.accuracy * (1 - one.accuracy) / one.num_questions for one in self.forms)
        return sqrt(sum(variances))

    @property
    def task_correlation(self) -> float:
        """Correlation of the tasks' scores between the forms."""
        first, second = self.forms
        return float(np.corrcoef(first.by_task_T, second.by_task_T)[0, 1])


def measure_forms(
    models: Sequence[Path], forms: tuple[int, int], shots: int, work: Path
) -> list[ModelFigures]:
    """Let models answer two forms, and score them.

    Args:
        models: model directories.
        forms: numbers of the forms.
        shots: questions of each task.
        work: folder of forms and answers; what it holds is not asked again.

    Raises:
        GradingError: a model could not answer.
    """
    work.mkdir(parents=True, exist_ok=True)
    tables = []
    for form in forms:
        tables.append(work / f"form-{form}.parquet")
        write_table(QUESTIONS, generate_form(form, shots)[0], tables[-1])
    (work / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "candidates": _zoo(models)}))
    config = ProfileConfig(
        zoo=work / "zoo.yaml",
        questions=tuple(tables),
        output_dir=work / "answers",
        max_new_tokens=_ANSWER_TOKENS,
        max_truncated_fraction=1.0,
        max_failed_fraction=0.1,
        candidate_deadline_s=6 * 3600,
    )
    report = profile_zoo(config)
    if report["failures"]:
        raise GradingError("; ".join(row["reason"] for row in report["failures"]))
    outcomes = read_table(OUTCOMES, work / "answers" / "outcomes.parquet").to_pylist()
    return [
        ModelFigures(
            path.name,
            (
                _scores(outcomes, path.name, forms[0], shots),
                _scores(outcomes, path.name, forms[1], shots),
            ),
        )
        for path in models
    ]


def _zoo(models: Sequence[Path]) -> list[dict[str, Any]]:
    return [
        {
            "name": path.name,
            "engine": "vllm",
            "context_window": _CONTEXT_TOKENS,
            "llm_config": {
                "model_loading_config": {
                    "model_id": path.name,
                    "model_source": str(path.resolve()),
                },
                "engine_kwargs": {
                    "max_model_len": _CONTEXT_TOKENS,
                    "kv_cache_memory_bytes": _KV_CACHE_BYTES,
                    "enforce_eager": True,
                },
                "placement_group_config": {"bundles": [{"CPU": os.cpu_count()}]},
                "accelerator_type": None,
            },
        }
        for path in models
    ]


def _scores(outcomes: list[dict[str, Any]], name: str, form: int, shots: int) -> FormScores:
    own = {
        row["question_id"]: row
        for row in outcomes
        if row["candidate"] == name and row["question_id"].startswith(f"general/{form}/")
    }
    tasks = list(dict.fromkeys(question_id.split("/")[2] for question_id in own))
    scores_TS = np.array(
        [
            [own[f"general/{form}/{task}/{n:02d}"]["correct"] or 0.0 for n in range(1, shots + 1)]
            for task in tasks
        ]
    )
    levels_S = np.arange(shots) % NUM_LEVELS
    return FormScores(
        by_task_T=scores_TS.mean(axis=1),
        by_level_L=np.array([scores_TS[:, levels_S == n].mean() for n in range(NUM_LEVELS)]),
        num_questions=scores_TS.size,
        accuracy=float(scores_TS.mean()),
        num_truncated=sum(row["failure"] == "truncated" for row in own.values()),
    )
