"""Train some steps of a job's model, random weights, in a process of its own: memory and time.

``python -m tests.support.train_jobs.measure_memory JOB.json``: the job as a TrainJobConfig
holds it, ``candidates`` and ``statements`` beside it.
"""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from modelsat.processor import native_dtype
from modelsat.training.stages import adapt_for_stage, freeze_for_stage
from train_jobs.config import TrainJobConfig
from train_jobs.footprint import pass_inputs
from train_jobs.plan import TrainPlan, WorkLoad, pass_shape
from train_jobs.shapes import build_shapes
from train_jobs.sharding import cpu_environment

ROOT = Path(__file__).parents[3]
NUM_STEPS = 3  # the first one's pass has no optimizer states beside it


@dataclass(frozen=True)
class Measured:
    """What a run took.

    Attributes:
        runtime: bytes before the first weight: the process, or a GPU's context.
        peak: most bytes at a time, of the process or of its GPU; what the GPU's allocator keeps in
            reserve does not count.
        reserved: most bytes that the GPU's allocator held; on CPUs the same as ``peak``.
        step_s: seconds of each step.
    """

    runtime: int
    peak: int
    reserved: int
    step_s: tuple[float, ...]


def measure(folder: Path, config: TrainJobConfig, plan: TrainPlan) -> Measured:
    """Train a job's model for some steps as its plan has it.

    Args:
        folder: for the job's description.
        config: the job, of one worker.
        plan: its plan, for the number of candidates.

    Raises:
        RuntimeError: the run failed; the message has its last output.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = folder / "measured.json"
    values = {
        "job": config.model_dump(mode="json"),
        "candidates": plan.work.candidates,
        "statements": plan.work.statements,
        "port": str(port),
    }
    job.write_text(json.dumps(values))
    environment = dict(os.environ)
    if not config.resources.use_gpu:
        threads = str(config.resources.threads_per_worker)
        environment |= cpu_environment() | {"OMP_NUM_THREADS": threads}
    command = [sys.executable, "-m", __name__, str(job)]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{config.name} could not be measured: {result.stderr[-3000:]}")
    values = json.loads(result.stdout.splitlines()[-1])
    return Measured(**{**values, "step_s": tuple(values["step_s"])})


class _Process:
    """Resident memory of this process."""

    def __init__(self) -> None:
        self.runtime = psutil.Process().memory_info().rss

    def forget_peak(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")

    def peak_bytes(self) -> tuple[int, int]:
        lines = Path("/proc/self/status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
        peak = int(line.split()[1]) * 1024
        return peak, peak

    def wait(self) -> None:
        """Nothing computes by itself."""


class _Gpu:
    """Memory of the process's GPU, its context included."""

    def __init__(self) -> None:
        torch.zeros(1, device="cuda")
        self.runtime = self._beside()

    def _beside(self) -> int:
        """Bytes in use that are not the allocator's."""
        free, total = torch.cuda.mem_get_info()
        return total - free - torch.cuda.memory_reserved()

    def forget_peak(self) -> None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> tuple[int, int]:
        beside = self._beside()
        allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
        return allocated + beside, reserved + beside

    def wait(self) -> None:
        torch.cuda.synchronize()


def _train(values: dict[str, Any]) -> dict[str, Any]:
    from train_jobs.deepspeed_engine import DeepSpeedEngine, start_distributed

    config = TrainJobConfig.model_validate(values["job"])
    on_gpu = config.resources.use_gpu
    torch.set_num_threads(config.resources.threads_per_worker)
    os.environ |= {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": values["port"],
    }
    start_distributed("nccl" if on_gpu else "gloo")
    memory = _Gpu() if on_gpu else _Process()
    model = build_shapes(config.model)
    adapt_for_stage(model, "all", config.training)
    freeze_for_stage(model, "all", config.training.frozen_layers)
    options = config.deepspeed.resolved(native_dtype("cuda" if on_gpu else "cpu"))
    engine = DeepSpeedEngine(model, "all", config.training, options, NUM_STEPS)
    freeze_for_stage(model, "all", config.training.frozen_layers)
    del model
    shape = pass_shape(config, WorkLoad(values["candidates"], values["statements"]))
    tokens, statements, weights_MT = pass_inputs(shape)
    inputs = (
        tokens.to(engine.device),
        {name: value.to(engine.device) for name, value in statements.items()},
        weights_MT.to(engine.device),
    )
    memory.forget_peak()  # that of building the model
    seconds = []
    for _ in range(NUM_STEPS):
        start_s = time.perf_counter()
        for _ in range(config.training.gradient_accumulation_steps):
            scores_BM, log_relevance_BT, _ = engine.forward(*inputs)
            engine.backward(scores_BM.float().mean() + log_relevance_BT.float().mean())
            engine.step()
        memory.wait()
        seconds.append(time.perf_counter() - start_s)
    peak, reserved = memory.peak_bytes()
    return {"runtime": memory.runtime, "peak": peak, "reserved": reserved, "step_s": seconds}


if __name__ == "__main__":
    report = _train(json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.write(json.dumps(report) + "\n")
