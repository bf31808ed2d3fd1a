"""Results that name questions by id alone: EvalPlus, SWE-bench and BFCL.

Their texts come from the questions table that ``--questions`` names, whose ``question_id`` is the
benchmark's own: ``HumanEval/12``, ``django__django-11099``, ``simple_python_0``.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from modelsat.errors import ArtifactError
from modelsat.evaluation_logs.answer import LeftOut, LoggedAnswer, read_output
from modelsat.evaluation_logs.rows import Row, files_in, json_document, json_lines


def read_evalplus(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield pass@1 on the extended tests, the mean over a task's samples.

    The file's name holds the model: ``ORG--MODEL_BACKEND_temp_T.eval_results.json``.
    """
    for path in files_in(paths, "*eval_results.json"):
        results = json_document(path).get("eval")
        if not isinstance(results, dict):
            raise ArtifactError(f"{path} is not a result file of EvalPlus: it has no `eval`")
        candidate = path.name.partition("_temp_")[0].rpartition("_")[0].replace("--", "/")
        for task_id, samples in results.items():
            if not isinstance(samples, list) or not samples:
                left_out.add("tasks in the form of releases before 0.2")
                continue
            passed = [_has_passed(sample) for sample in samples]
            yield _answer(candidate, task_id, mean(passed), samples[0].get("solution"))


def read_swebench(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield whether an instance is resolved, from run reports ``MODEL.RUN.json``.

    Instances that ended with an error of the harness, or were not submitted, have no outcome.
    """
    for path in files_in(paths, "*.json"):
        report = json_document(path)
        if not isinstance(report, dict) or "resolved_ids" not in report:
            left_out.add("files that are not run reports")
            continue
        candidate = path.name.removesuffix(".json").rpartition(".")[0].replace("__", "/")
        uncertain = {*report.get("error_ids", ()), *report.get("infra_failure_ids", ())}
        left_out.add("instances with an error of the harness", len(uncertain))
        scores = dict.fromkeys(report.get("empty_patch_ids", ()), 0.0)
        scores |= dict.fromkeys(report.get("unresolved_ids", ()), 0.0)
        scores |= dict.fromkeys(report["resolved_ids"], 1.0)
        for instance_id, score in scores.items():
            if instance_id not in uncertain:
                yield _answer(candidate, instance_id, score)


def read_bfcl(paths: Sequence[Path], left_out: LeftOut) -> Iterator[LoggedAnswer]:
    """Yield the outcomes of ``score/MODEL/.../BFCL_..._score.json`` and the results beside them.

    A score file lists only what failed; every other line of the result file is right.
    """
    for path in files_in(paths, "BFCL_*_score.json"):
        place = next(i for i, part in enumerate(path.parts) if part == "score")
        results = Path(*path.parts[:place], "result", *path.parts[place + 1 : -1])
        results /= path.name.replace("_score.json", "_result.json")
        if not results.exists():
            raise ArtifactError(f"{path}: {results} is missing; it says which entries passed")
        header, *failed = json_lines(path)
        wrong = {row.get("id") for row in failed}
        rows = list(json_lines(results))
        if len(rows) != header.get("total_count"):
            left_out.add("categories that are evaluated in part", 1)
            continue
        for row in rows:
            result = row.get("result")
            output = result if isinstance(result, str) else json.dumps(result)
            if output.startswith("Error during inference"):
                left_out.add("requests that failed")
                continue
            score = float(row.get("id") not in wrong)
            yield _answer(path.parts[place + 1], str(row.get("id")), score, output)


def _has_passed(sample: Row) -> bool:
    return sample.get("base_status") == "pass" and sample.get("plus_status") in ("pass", None)


def _answer(candidate: str, question_id: str, score: float, output: Any = None) -> LoggedAnswer:
    return LoggedAnswer(
        candidate=candidate,
        prompt="",
        question_id=question_id,
        score=score,
        task="",
        output=read_output(output),
    )
