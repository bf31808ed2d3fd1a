"""What people read: reasons of failures, progress, and the end of a command."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from modelsat.progress import Progress
from profiling.aptitude_test import main
from profiling.candidate_log import CandidateLog
from profiling.commands import profile
from profiling.config import ProfileConfig
from profiling.engines.vllm import engine_environment
from profiling.runner import failure_reason
from profiling.work import plan_run


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "KeyError: 'b'\nDuring handling\nray::task() (pid=1)\n"
            "TypeError: no such option 'a'\n\nThe above\n"
            "ray.exceptions.UserCodeException: UDF failed to process a data block.",
            "TypeError: no such option 'a'",
        ),
        ("The actor died\n  modelsat.errors.ZooError: candidate 'a': bad", "candidate 'a': bad"),
        ("worker\ncrashed", "RuntimeError: worker crashed"),
    ],
)
def test_reason_is_the_innermost_error_on_one_line(text: str, reason: str) -> None:
    assert failure_reason(RuntimeError(text)) == reason


def test_a_candidates_first_answers_are_printed_and_all_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = Progress("profile", total=200, unit="questions")
    log = CandidateLog(progress)
    log.say("a", "starting")
    log.settled("b", 40)
    log.answered("a", 10, 10, 100)
    log.answered("a", 20, 30, 100)
    log.answered("b", 10, 50, 100)
    assert capsys.readouterr().err.splitlines() == [
        "profile: a: starting",
        "profile: b: 40 questions are settled by an earlier run",
        "profile: a: 10/100 questions answered",
        "profile: b: 50/100 questions answered",
    ]
    assert "80/200 questions" in progress.text(10.0)


def test_cpu_engines_share_cores_unless_the_zoo_sets_them(config: ProfileConfig) -> None:
    candidate = plan_run(config).works[0].candidate
    on_gpu = engine_environment(candidate)["env_vars"]
    assert on_gpu["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    assert on_gpu["HF_HUB_OFFLINE"] == "1"
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in on_gpu
    llm_config = {
        **candidate.llm_config,
        "placement_group_config": {"bundles": [{"CPU": 1}]},
        "runtime_env": {"env_vars": {"HF_HUB_OFFLINE": "0"}, "pip": ["x"]},
    }
    on_cpu = engine_environment(candidate.model_copy(update={"llm_config": llm_config}))
    assert on_cpu["env_vars"]["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert on_cpu["env_vars"]["HF_HUB_OFFLINE"] == "0"
    assert on_cpu["pip"] == ["x"]


def test_entry_point_prints_one_line_and_sets_the_exit_code(
    config: ProfileConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--config", str(config.zoo)])
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {config.zoo}: ")


def test_command_has_the_options_of_the_entry_point() -> None:
    app = typer.Typer()
    app.command()(profile)
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    for option in ("--config", "--set", "--json"):
        assert option in shown.output


def test_importing_the_command_imports_no_engine() -> None:
    heavy = "{'ray', 'vllm', 'torch', 'transformers'}"
    code = f"import sys, profiling.commands; print({heavy} & set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.strip() == "set()"
