"""What a processor computes natively, and the precision that follows from it.

The only module that reads instruction sets. Training, scoring, engines, ``modelsat doctor`` and
benchmark pages all take ``precision: auto`` from here.
"""

import logging
import os
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

DType = Literal["float32", "bfloat16"]

# Those that decide how fast matrix products are, by Linux's names; on Arm asimd, sve and bf16.
_INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
# Without one of these torch emulates bfloat16. On an AVX2 processor its products then run at
# 1 GFLOP/s, those in float32 at 45 (torch 2.13, two cores).
_BFLOAT16_SETS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
# Values with which users keep torch or oneDNN from AVX-512 and AMX.
_LIMITS = {
    "ATEN_CPU_CAPABILITY": frozenset({"default", "avx2"}),
    "ONEDNN_MAX_CPU_ISA": frozenset({"sse41", "avx", "avx2", "avx2_vnni"}),
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Processor:
    """A CPU or GPU, as far as the choice of a precision depends on it.

    Attributes:
        name: the maker's name of it.
        instruction_sets: those it has and may use that make matrix products fast; of a GPU only
            ``bf16``, if it computes in bfloat16.
    """

    name: str
    instruction_sets: tuple[str, ...]

    @property
    def native_dtype(self) -> DType:
        """``bfloat16`` if the processor computes in it without emulation, else ``float32``."""
        return "bfloat16" if _BFLOAT16_SETS.intersection(self.instruction_sets) else "float32"

    @property
    def reason(self) -> str:
        """Why :attr:`native_dtype` is what it is, for logs."""
        used = [name for name in self.instruction_sets if name in _BFLOAT16_SETS]
        if used:
            return f"{self.name} computes in bfloat16 ({', '.join(used)})"
        return f"{self.name} would emulate bfloat16 (none of {', '.join(sorted(_BFLOAT16_SETS))})"


def native_dtype(device: str = "cpu") -> DType:
    """Resolve ``auto``: return the dtype that this machine's processor computes in natively.

    The choice and its reason are logged once per process and device. The variables
    ``ATEN_CPU_CAPABILITY`` and ``ONEDNN_MAX_CPU_ISA``, by which torch and oneDNN are kept to older
    instruction sets, are followed.

    Args:
        device: torch's name of the device, ``cpu`` or ``cuda``.
    """
    return _logged_dtype(local_processor(device))


def local_processor(device: str = "cpu") -> Processor:
    """Return this machine's CPU, or its GPU for a device named ``cuda``."""
    if not device.startswith("cuda"):
        cpuinfo = Path("/proc/cpuinfo")
        text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
        return parse_cpuinfo(text, os.environ)
    import torch

    computes = torch.cuda.is_bf16_supported(including_emulation=False)
    return Processor(torch.cuda.get_device_name(device), ("bf16",) if computes else ())


def parse_cpuinfo(text: str, environment: Mapping[str, str]) -> Processor:
    """Return the CPU that ``/proc/cpuinfo`` describes, within the limits that variables set.

    Args:
        text: contents of ``/proc/cpuinfo``; empty on systems without it, whose processors count
            as having none of the instruction sets.
        environment: environment variables.
    """
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    found = set(flags[1].split()) if flags else set()
    if any(environment.get(key, "").lower() in values for key, values in _LIMITS.items()):
        found = {flag for flag in found if not flag.startswith(("avx512", "amx"))}
    return Processor(
        " ".join(name[1].split()) if name else platform.machine(),
        tuple(flag for flag in _INSTRUCTION_SETS if flag in found),
    )


def measure_flop_per_s(dtype: DType, num_threads: int) -> float:
    """Time matrix products of a small network's size on this machine's CPU.

    Args:
        dtype: of both factors.
        num_threads: threads that compute.

    Returns:
        Floating-point operations per second, the best of up to five products in half a second.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    rows, width = 512, 1024
    left = torch.randn(rows, width, dtype=getattr(torch, dtype))
    right = torch.randn(width, width, dtype=getattr(torch, dtype))
    times_s: list[float] = []
    while len(times_s) < 5 and sum(times_s) < 0.5:
        start_s = time.perf_counter()
        left @ right
        times_s.append(time.perf_counter() - start_s)
    torch.set_num_threads(before)
    return 2 * rows * width * width / min(times_s)


@cache
def _logged_dtype(processor: Processor) -> DType:
    _log.info("precision auto: %s; %s", processor.native_dtype, processor.reason)
    return processor.native_dtype
