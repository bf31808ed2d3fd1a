"""Train some steps of a job's model, random weights, in this process; print memory and time.

``python -m tests.integration.train_jobs.measure_memory JOB.json``: the job as a TrainJobConfig
holds it, ``candidates`` and ``statements`` beside it.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("DS_ACCELERATOR", "cpu")

import psutil
import torch

from modelsat.modeling.shapes import build_shapes
from modelsat.training.footprint import pass_inputs
from modelsat.training.stages import freeze_for_stage
from train_jobs.config import TrainJobConfig
from train_jobs.deepspeed_engine import DeepSpeedEngine, start_distributed
from train_jobs.plan import WorkLoad, pass_shape

NUM_STEPS = 2  # the first one's pass has no optimizer states beside it


def peak_bytes() -> int:
    """Largest resident memory since it was last forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main(path: str) -> None:
    """Run one worker's part of the job."""
    values = json.loads(Path(path).read_text())
    config = TrainJobConfig.model_validate(values["job"])
    torch.set_num_threads(config.resources.threads_per_worker)
    os.environ |= {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": values["port"],
    }
    start_distributed("gloo")
    runtime = psutil.Process().memory_info().rss
    model = build_shapes(config.model)
    freeze_for_stage(model, "all", config.training.frozen_layers)
    engine = DeepSpeedEngine(model, "all", config.training, config.deepspeed, NUM_STEPS)
    freeze_for_stage(model, "all", config.training.frozen_layers)
    del model
    work = WorkLoad(values["candidates"], values["statements"])
    inputs = pass_inputs(pass_shape(config, work))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of building the model
    seconds = []
    for _ in range(NUM_STEPS):
        start_s = time.perf_counter()
        for _ in range(config.training.gradient_accumulation_steps):
            scores_BM, log_relevance_BT = engine.forward(*inputs)
            engine.backward(scores_BM.float().mean() + log_relevance_BT.float().mean())
            engine.step()
        seconds.append(time.perf_counter() - start_s)
    report = {"runtime": runtime, "peak": peak_bytes(), "step_s": seconds}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
