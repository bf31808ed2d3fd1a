"""A dry run reports its work and does nothing."""

import json

import pytest
import yaml

from modelsat.artifacts.schemas import OUTCOMES
from modelsat.artifacts.store import write_table
from profiling.aptitude_test import main
from profiling.config import ProfileConfig
from profiling.work import plan_run
from tests.support.profiling.zoo_files import QUESTION_IDS


@pytest.fixture
def file(config: ProfileConfig) -> str:
    """The configuration in a file; a candidate that is done, one half way, one refused."""
    zoo = yaml.safe_load(config.zoo.read_text())
    hollow = {**zoo["candidates"][0], "name": "hollow"}
    hollow["llm_config"] = {
        **hollow["llm_config"],
        "model_loading_config": {
            "model_id": "hollow",
            "model_source": str(config.zoo.parent / "x"),
        },
    }
    config.zoo.write_text(yaml.safe_dump({**zoo, "candidates": [*zoo["candidates"], hollow]}))
    alpha, beta = plan_run(config).works
    rows = [{"question_id": i, "candidate": "alpha", "correct": 1.0} for i in QUESTION_IDS]
    write_table(OUTCOMES, rows, alpha.path, {"candidate": "alpha", "work_hash": alpha.work_hash})
    key = beta.checkpoint.begin_batch(QUESTION_IDS[:2])
    done = [{"question_id": i, "candidate": "Beta/2", "correct": 0.0} for i in QUESTION_IDS[:2]]
    beta.checkpoint.end_batch(key, [{**row, "engine_request": n} for n, row in enumerate(done)])
    path = config.zoo.parent / "profile.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return str(path)


def test_dry_run_reports_the_remaining_work(
    file: str, config: ProfileConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(config.output_dir.rglob("*"))
    main(["--config", file, "--set", "replicas=[1, 4]", "--dry-run", "--json"])
    plan = json.loads(capsys.readouterr().out)
    alpha, beta, hollow = plan["candidates"]
    assert (alpha["state"], alpha["num_to_ask"]) == ("kept", 0)
    assert (beta["state"], beta["num_settled"], beta["num_to_ask"]) == ("asked", 2, 4)
    assert (beta["replicas"], beta["needs"]) == ([1, 4], {"GPU": 1.0, "CPU": 1.0})
    assert hollow["state"] == "refused"
    assert "is not a model directory" in hollow["reason"]
    assert plan["num_questions"] == len(QUESTION_IDS)
    assert plan["config"]["block_size"] == 256
    assert sorted(config.output_dir.rglob("*")) == before


def test_dry_run_prints_a_line_for_each_candidate(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--config", file, "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("6 questions, 0 worked examples each, scoring generated")
    assert "alpha: unchanged since it was profiled; kept" in lines
    assert any(line.startswith("Beta/2: 4 questions to ask, 2 settled") for line in lines)
    assert lines[-1].startswith("hollow: refused: ")
