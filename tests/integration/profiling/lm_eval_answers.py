"""What lm-eval makes of a local model and task; run as a script beside its packages.

``python lm_eval_answers.py MODEL FOLDER``: FOLDER holds ``questions.jsonl``, ``examples.jsonl`` and
``asked.json``, a list of settings; ``answers.json`` comes beside them, a list for each setting, and
lm-eval's own sample logs in ``logs``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

MAX_NEW_TOKENS = 6
LETTERS = ["A", "B", "C", "D"]


def task(folder: Path, setting: dict[str, Any]) -> dict[str, Any]:
    """A task file in lm-eval's own words."""
    values: dict[str, Any] = {
        "task": setting["name"],
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {
                "test": str(folder / "questions.jsonl"),
                "dev": str(folder / "examples.jsonl"),
            }
        },
        "test_split": "test",
        "fewshot_split": "dev",
        "fewshot_config": {"sampler": "first_n"},
        "doc_to_text": "{{prompt}}" + ("" if setting["chat_template"] else "\nAnswer:"),
        "num_fewshot": setting["shots"],
    }
    if setting["scoring"] == "loglikelihood":
        return values | {
            "output_type": "multiple_choice",
            "doc_to_choice": LETTERS,
            "doc_to_target": "answer_index",
            "metric_list": [{"metric": "acc"}],
        }
    return values | {
        "output_type": "generate_until",
        "doc_to_target": "answer",
        "generation_kwargs": {
            "until": ["\n\n"],
            "do_sample": False,
            "max_gen_toks": MAX_NEW_TOKENS,
        },
        "metric_list": [{"metric": "exact_match"}],
    }


def main(model: str, folder: Path) -> None:
    """Evaluate every setting with one loaded model."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    settings = json.loads((folder / "asked.json").read_text())
    for setting in settings:
        (folder / f"{setting['name']}.yaml").write_text(yaml.safe_dump(task(folder, setting)))
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    language_model = HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=1)
    tracker = EvaluationTracker(output_path=str(folder / "logs"))
    tracker.general_config_tracker.log_experiment_args(
        "hf", "pretrained=org/tiny", None, None, False
    )
    tracker.date_id = "2026-01-01T00-00-00.000000"
    answers = []
    for setting in settings:
        results = simple_evaluate(
            model=language_model,
            tasks=[setting["name"]],
            num_fewshot=setting["shots"],
            apply_chat_template=setting["chat_template"],
            fewshot_as_multiturn=setting["chat_template"],
            log_samples=True,
            bootstrap_iters=0,
            task_manager=manager,
        )
        samples = sorted(results["samples"][setting["name"]], key=lambda s: s["doc_id"])
        if setting["scoring"] == "loglikelihood":
            answers.append([[float(r[0]) for r in s["filtered_resps"]] for s in samples])
        else:
            answers.append([s["filtered_resps"][0] for s in samples])
        tracker.save_results_samples(setting["name"], samples)
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
