"""Jobs that train adapters on the base model: their routers are plain, and what breaks goes on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from modelsat.errors import CheckpointError, ConfigError
from modelsat.modeling.loading import load_backbone
from modelsat.routing.scoring import Scorer
from modelsat.training.config import LoraConfig
from tests.support.router_parts import WORDS, make_matrix
from tests.support.train_jobs.toy_job import (
    job_values,
    overfitting_job,
    same_weights,
    write_toy_tables,
)
from train_jobs.config import TrainJobConfig
from train_jobs.job import TrainSummary, run_name, train_router

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("ray_cluster"),
    # Ray 2.60 sets, copying its own settings, those it calls deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context"),
]

ROOT = Path(__file__).parents[3]
LORA = LoraConfig(rank=4, alpha=8.0, dropout=0.1)
INSTRUCTIONS = [words.format("unseen") for words in WORDS.values()]

# Scores in an interpreter that does not find what a router was trained with.
WITHOUT_TRAINING = """
import json, sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in ("peft", "deepspeed")
        return None if absent else self.finder.find_spec(name, path, target)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
from modelsat.routing.scoring import Scorer
from tests.support.router_parts import make_matrix

scores = Scorer.load(sys.argv[1]).score(json.loads(sys.argv[2]), make_matrix().cards)
for name in ("peft", "deepspeed"):
    assert name not in sys.modules
print(json.dumps(scores.tolist()))
"""


def with_lora(config: TrainJobConfig, lora: LoraConfig = LORA) -> TrainJobConfig:
    training = config.training.model_copy(update={"lora": lora})
    return config.model_copy(update={"training": training})


def stopping_job(tables: Path, out: Path, **changes: Any) -> TrainJobConfig:
    values = overfitting_job(tables, out, **changes).model_dump(mode="json")
    values["training"]["all_stage"]["epochs"] = 6
    values["training"]["validate_every_steps"] = None
    return with_lora(TrainJobConfig.model_validate(values))


def moved(before: Path, after: Path) -> dict[str, bool]:
    """Which parameters of a base model are others than before."""
    start, end = (load_backbone(str(folder)).state_dict() for folder in (before, after))
    assert start.keys() == end.keys()
    return {name: not torch.equal(start[name], value) for name, value in end.items()}


def linear_layers(base: Path) -> set[str]:
    modules = load_backbone(str(base)).named_modules()
    return {f"{name}.weight" for name, module in modules if isinstance(module, nn.Linear)}


@pytest.fixture(scope="module")
def adapted(noisy_tables, tmp_path_factory, ray_cluster) -> tuple[TrainJobConfig, TrainSummary]:
    """A job with adapters that stopped early, unbroken."""
    config = stopping_job(noisy_tables, tmp_path_factory.mktemp("adapted"))
    return config, train_router(config)


def test_only_linear_layers_of_the_base_have_changed(adapted):
    config, summary = adapted
    losses = [entry["validation_loss"] for entry in summary.history if entry["stage"] == "all"]
    # The best epoch is not the last, whose weights would be those of the engine.
    assert min(losses) < min(losses[0], losses[-1])
    parts = Path(config.storage_path) / f"{run_name(config)}-parts"
    base = config.router_dir / "base"
    changed = {name for name, is_new in moved(parts / "base", base).items() if is_new}
    assert changed == linear_layers(base)
    files = [path for path in config.router_dir.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors"}


def test_router_loads_without_peft_and_deepspeed(adapted):
    router = adapted[0].router_dir
    command = [sys.executable, "-c", WITHOUT_TRAINING, str(router), json.dumps(INSTRUCTIONS)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    found = np.array(json.loads(result.stdout.splitlines()[-1]))
    expected = Scorer.load(router).score(INSTRUCTIONS, make_matrix().cards)
    assert np.abs(found - expected).max() < 1e-6


def test_failed_job_resumes_with_the_same_result(adapted, noisy_tables, tmp_path):
    config = stopping_job(noisy_tables, tmp_path, resources={"max_failures": 0})
    folder = Path(config.storage_path) / run_name(config)
    full = folder / "checkpoint_all-002"
    full.mkdir(parents=True)
    (full / "progress.json").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match="No space left on device"):
        train_router(config)
    assert (folder / "checkpoint_all-001").is_dir()
    train_router(config)
    assert same_weights(adapted[0], config)


def test_job_continues_from_the_router_with_adapters_and_zero_3(adapted, tmp_path):
    earlier = adapted[0].router_dir
    values = job_values(write_toy_tables(tmp_path / "tables"), tmp_path)
    values["initial_router"] = str(earlier)
    values["deepspeed"]["zero_stage"] = 3
    values["training"]["connector_stage"]["epochs"] = 1
    config = with_lora(TrainJobConfig.model_validate(values))
    unfit = LORA.model_copy(update={"target_modules": ("nothing",)})
    with pytest.raises(ConfigError, match="nothing"):
        train_router(with_lora(config, unfit))
    assert not Path(config.storage_path).exists()
    summary = train_router(config)
    losses = [entry["validation_loss"] for entry in summary.history]
    assert losses[-1] < losses[0]
    base = config.router_dir / "base"
    changed = {name for name, is_new in moved(earlier / "base", base).items() if is_new}
    assert changed == linear_layers(base)
