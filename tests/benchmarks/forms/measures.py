"""Scores of models on two forms of a test.

Shapes: T tasks, S questions of a task, L levels.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import yaml

from modelsat.aptitude.general import generate_form
from modelsat.aptitude.general.task import NUM_LEVELS
from modelsat.aptitude.tasks import SHOTS_PER_TASK
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.demo.bank.generator import generate_questions
from modelsat.errors import GradingError
from modelsat.zoo.zoo_file import load_zoo
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
        by_level_L: mean score of each level, 0..1; empty if the form has no levels.
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


def measure_general(
    models: Sequence[Path], forms: tuple[int, int], shots: int, work: Path
) -> list[ModelFigures]:
    """Let models answer two forms of the general test, and score them.

    Args:
        models: model directories.
        forms: numbers of the forms.
        shots: questions of each task.
        work: folder of forms and answers; what it holds is not asked again.

    Raises:
        GradingError: a model could not answer.
    """
    work.mkdir(parents=True, exist_ok=True)
    zoo = work / "zoo.yaml"
    zoo.write_text(yaml.safe_dump({"version": 1, "candidates": _zoo(models)}))
    tables = [generate_form(form, shots)[0] for form in forms]
    return _measure(zoo, tables, work, NUM_LEVELS, max_new_tokens=_ANSWER_TOKENS)


def measure_demo(zoo: Path, forms: tuple[int, int], work: Path) -> list[ModelFigures]:
    """Let a demo zoo answer two aptitude tests of the demo bank, and score them.

    Args:
        zoo: zoo file of the demo, such as the quickstart's.
        forms: seeds of the tests; the candidates were trained on none of their questions.
        work: folder of tests and answers; what it holds is not asked again.

    Raises:
        GradingError: a candidate could not answer.
    """
    work.mkdir(parents=True, exist_ok=True)
    text_only = [one.name for one in load_zoo(zoo).candidates if "image" not in one.modalities]
    tables = [generate_questions("aptitude", SHOTS_PER_TASK, form) for form in forms]
    return _measure(zoo, tables, work, 0, candidates=text_only)


def _measure(
    zoo: Path, tables: Sequence[pa.Table], work: Path, num_levels: int, **settings: Any
) -> list[ModelFigures]:
    """Return the figures of every candidate; forms may have questions in common."""
    forms = []
    for number, table in enumerate(tables, start=1):
        path = work / f"questions-{number}.parquet"
        write_table(QUESTIONS, table, path)
        config = ProfileConfig(
            zoo=zoo,
            questions=(path,),
            output_dir=work / f"answers-{number}",
            max_truncated_fraction=1.0,
            max_failed_fraction=0.1,
            candidate_deadline_s=6 * 3600,
            **settings,
        )
        report = profile_zoo(config)
        if report["failures"]:
            raise GradingError("; ".join(row["reason"] for row in report["failures"]))
        outcomes = read_table(OUTCOMES, config.output_dir / "outcomes.parquet").to_pylist()
        forms.append(scores_by_name(table.to_pylist(), outcomes, num_levels))
    first, second = forms
    return [ModelFigures(name, (first[name], second[name])) for name in first]


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


def scores_by_name(
    questions: Sequence[dict[str, Any]], outcomes: Sequence[dict[str, Any]], num_levels: int
) -> dict[str, FormScores]:
    """Return the scores of every candidate on one form.

    Args:
        questions: rows of a form, as many of each task; question ``n`` of a task has level
            ``(n - 1) % num_levels + 1``.
        outcomes: rows of an outcomes table; a question without a grade scores 0.
        num_levels: levels of the form; 0 if it has none.
    """
    position = {row["question_id"]: number for number, row in enumerate(questions)}
    num_tasks = len({row["task"] for row in questions})
    found: dict[str, Floats] = {}
    num_truncated: Counter[str] = Counter()
    for row in outcomes:
        scores = found.setdefault(row["candidate"], np.zeros(len(questions)))
        scores[position[row["question_id"]]] = row["correct"] or 0.0
        num_truncated[row["candidate"]] += row["failure"] == "truncated"
    return {
        name: _form_scores(scores.reshape(num_tasks, -1), num_levels, num_truncated[name])
        for name, scores in found.items()
    }


def _form_scores(scores_TS: Floats, num_levels: int, num_truncated: int) -> FormScores:
    levels_S = np.arange(scores_TS.shape[1]) % max(num_levels, 1)
    return FormScores(
        by_task_T=scores_TS.mean(axis=1),
        by_level_L=np.array([scores_TS[:, levels_S == n].mean() for n in range(num_levels)]),
        num_questions=scores_TS.size,
        accuracy=float(scores_TS.mean()),
        num_truncated=num_truncated,
    )
