import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import modelsat
from modelsat.cli import machine_checks
from modelsat.cli import main as cli
from modelsat.cli.machine_checks import Check
from modelsat.errors import ConfigError, MachineError

HEAVY = ("torch", "ray", "vllm", "deepspeed", "transformers", "pyarrow", "fastapi")


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(cli.app, list(arguments))


@pytest.fixture
def with_command(monkeypatch):
    """Registers a function as the command `extra`, like an entry point."""

    def register(function):
        module = type(sys)("extra_commands")
        module.function = function
        monkeypatch.setitem(sys.modules, "extra_commands", module)
        monkeypatch.setattr(cli, "LIBRARY_COMMANDS", {"extra": "extra_commands:function"})

    return register


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["zoo", "--help"]])
def test_help_and_version_answer_without_heavy_packages(arguments):
    code = (
        "import sys; from modelsat.cli.main import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        f"sys.exit(str([name for name in {HEAVY!r} if name in sys.modules] or ''))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.strip() == ""
    assert result.stdout


def test_help_lists_library_and_application_commands(run):
    output = run("--help").output
    for name in cli._sources():
        assert f" {name} " in output


def test_an_entry_point_becomes_a_command(run, monkeypatch):
    class Point:
        name, value = "extra", "extra_commands:extra"

    module = type(sys)("extra_commands")

    def extra(number: int) -> None:
        """Double a number."""
        typer.echo(2 * number)

    module.extra = extra
    monkeypatch.setitem(sys.modules, "extra_commands", module)
    monkeypatch.setattr(cli, "entry_points", lambda group: [Point] * (group == "modelsat.commands"))
    assert "Double a number." in run("--help").output
    assert run("extra", "21").output == "42\n"


def test_version(run):
    assert run("--version").output == f"modelsat {modelsat.__version__}\n"


def test_misspelt_command_gets_a_suggestion(run):
    result = run("docter")
    assert result.exit_code == 2
    assert "'doctor'" in result.output


def test_user_error_is_one_line_with_its_exit_code(run, with_command):
    def fail() -> None:
        raise ConfigError("steps: got 0,\nallowed is 1 or more")

    with_command(fail)
    result = run("extra")
    assert result.exit_code == ConfigError.exit_code
    assert result.stderr == "error: steps: got 0, allowed is 1 or more\n"
    assert result.stdout == ""


def test_ctrl_c_prints_one_line_and_exits_with_130(run, with_command):
    def interrupted() -> None:
        raise KeyboardInterrupt

    with_command(interrupted)
    result = run("extra")
    assert result.exit_code == 130
    assert result.stderr == "interrupted; run the same command again to continue\n"


def test_bug_keeps_its_traceback(run, with_command):
    def broken() -> None:
        raise AssertionError("ours")

    with_command(broken)
    assert isinstance(run("extra").exception, AssertionError)


def test_missing_package_is_reported(run, monkeypatch):
    monkeypatch.setattr(cli, "LIBRARY_COMMANDS", {"far": "no_such_package.commands:far"})
    assert "needs the package 'no_such_package'" in run("--help").output
    result = run("far", "--config", "x.yaml")
    assert result.exit_code == MachineError.exit_code
    assert result.stderr.startswith("error: the command 'far' needs the package 'no_such_package'")
    assert result.stderr.count("\n") == 1


def test_module_is_executable(tmp_path):
    code = "from modelsat.cli.main import main; main()"
    environment = {**os.environ, "TERM": "dumb"}
    result = subprocess.run(
        [sys.executable, "-c", code, "zoo", "validate", str(tmp_path / "none.yaml")],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert result.returncode == 4
    assert result.stderr.startswith("error: cannot read configuration")
    assert result.stderr.count("\n") == 1


def test_json_output_is_one_document(run, monkeypatch):
    monkeypatch.setattr(machine_checks, "check_torch_import", lambda: Check("torch", "ok", ""))
    result = run("doctor", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == (0 if report["ok"] else 1)
    assert {check["status"] for check in report["checks"]} <= {"ok", "warn", "missing"}
    assert len({check["name"] for check in report["checks"]}) == len(report["checks"])
