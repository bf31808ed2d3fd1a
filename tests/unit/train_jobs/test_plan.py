"""Memory in a plan of the smallest router."""

from pathlib import Path

import pytest

from modelsat.config import load_config
from train_jobs.config import TrainJobConfig
from train_jobs.plan import make_plan

TINY = Path(__file__).parents[3] / "train_jobs" / "configs" / "tiny.yaml"


@pytest.mark.parametrize("batch_size", [1, 64])
def test_peak_is_the_larger_of_training_and_validation(batch_size):
    """Validation scores 64 instructions at once, independent of the training batch size."""
    changes = [f"training.batch_size={batch_size}", "model.max_instruction_tokens=512"]
    plan = make_plan(load_config(TrainJobConfig, TINY, changes), candidates=60)
    assert (plan.validation > plan.activations) == (batch_size == 1)
    memory = plan.memory
    held = plan.runtime + memory.weights + memory.gradients
    held += memory.master_weights + memory.optimizer_states
    fullest = max(plan.activations, plan.validation)
    assert plan.total == held + max(fullest + memory.buffers, memory.step)
