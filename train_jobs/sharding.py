"""DeepSpeed's configuration, and the memory of each worker that results from it.

Sizes follow from the settings and the allocations in ``runtime/zero`` of DeepSpeed 0.19.8;
tests/integration/train_jobs/test_plan.py compares them with a real run.
"""

from dataclasses import dataclass
from typing import Any

from modelsat.training.config import TrainingConfig
from train_jobs.config import DeepSpeedConfig

# Gradient elements reduced together: 100 MB in bfloat16, enough to saturate the links. DeepSpeed's
# default of 5e8 would use 1 GB of every GPU.
_BUCKET_ELEMENTS = 50_000_000
# ZeRO-3: maximum number of gathered weights. A few layers of Phi-3-mini (113 million each);
# DeepSpeed's default of 1e9 would be a quarter of the model.
_LIVE_ELEMENTS = 300_000_000
_PREFETCH_ELEMENTS = 50_000_000
_MASTER_BYTES = 4  # of a weight in float32
_ADAM_BYTES = 8  # two moments in float32


@dataclass(frozen=True)
class ShardedMemory:
    """Memory of a worker's training state, in bytes.

    Attributes:
        weights: weights used in forward and backward passes.
        master_weights: float32 copies that the optimizer updates.
        optimizer_states: the optimizer's two moments.
        gradients: gradients that stay in memory between passes.
        buffers: buffers for reducing gradients and gathering weights.
        step: copies made during the optimizer step, when activations are already freed.
        host: the part of the above that is in host memory instead of GPU memory.
    """

    weights: int
    master_weights: int
    optimizer_states: int
    gradients: int
    buffers: int
    step: int
    host: int


def deepspeed_settings(config: TrainingConfig, options: DeepSpeedConfig) -> dict[str, Any]:
    """Build DeepSpeed's configuration of a stage."""
    zero: dict[str, Any] = {
        "stage": options.zero_stage,
        "overlap_comm": False,
        "reduce_bucket_size": _BUCKET_ELEMENTS,
        "stage3_max_live_parameters": _LIVE_ELEMENTS,
        "stage3_max_reuse_distance": _LIVE_ELEMENTS,
        "stage3_prefetch_bucket_size": _PREFETCH_ELEMENTS,
    }
    if options.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    return {
        "train_micro_batch_size_per_gpu": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation_steps,
        "gradient_clipping": config.max_grad_norm,
        "bf16": {"enabled": options.precision == "bf16"},
        "torch_autocast": {"enabled": options.precision == "autocast", "dtype": "bfloat16"},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
    }


def cpu_environment() -> dict[str, str]:
    """Return the environment variables of a worker without a GPU.

    By default glibc caches freed tensors of up to 32 MiB: a run of `small`'s shape with 6 layers
    and 8 instructions then took 5.3 GiB instead of about 4.5. A threshold of 16 MiB avoids this;
    with 1 MiB, `lite` trains at two thirds of its speed.
    """
    return {"DS_ACCELERATOR": "cpu", "MALLOC_MMAP_THRESHOLD_": str(16 << 20)}


def kept_gradient_fraction(options: DeepSpeedConfig, num_workers: int) -> float:
    """Return the share of each gradient that stays on the device after reduction."""
    return 0.0 if options.offload_optimizer else 1 / num_workers


def sharded_memory(
    options: DeepSpeedConfig,
    *,
    num_workers: int,
    accumulates: bool,
    parameters: int,
    trained: int,
    largest_parameter: int,
    largest_group: int,
) -> ShardedMemory:
    """Compute the memory of a worker's training state by part.

    Args:
        options: sharding and precision.
        num_workers: workers that share the state.
        accumulates: whether a step has several passes.
        parameters: number of parameters.
        trained: number of trained parameters.
        largest_parameter: elements of the largest trained parameter.
        largest_group: elements of the largest group with the same learning rate and decay.
    """
    weight_bytes = weight_size(options)
    shard = -(-trained // num_workers)
    master, states = _MASTER_BYTES * shard, _ADAM_BYTES * shard
    bucket_bytes = 2 if options.precision != "float32" else 4
    buffers = bucket_bytes * min(_BUCKET_ELEMENTS, trained)
    if options.zero_stage == 3:
        weights = weight_bytes * -(-parameters // num_workers)
        gathered = min(parameters, _LIVE_ELEMENTS + _PREFETCH_ELEMENTS)
        buffers += weight_bytes * gathered if num_workers > 1 else 0
        gradients = weight_bytes * shard
    else:
        weights = weight_bytes * parameters
        # The accumulated sum and the gradients of the current pass.
        gradients = weight_bytes * shard * (2 if accumulates else 1)
    step = _MASTER_BYTES * -(-largest_group // num_workers)
    if weight_bytes != _MASTER_BYTES:
        step += weight_bytes * -(-largest_group // num_workers)
    if not options.offload_optimizer:
        return ShardedMemory(weights, master, states, gradients, buffers, step, host=0)
    # On the host: float32 gradients, their sum if they accumulate, and updated weights.
    host_gradients = _MASTER_BYTES * shard * (2 if accumulates else 1)
    host = master + states + host_gradients + weight_bytes * shard
    buffers += weight_bytes * largest_parameter
    return ShardedMemory(weights, master, states, 0, buffers, 0, host)


def weight_size(options: DeepSpeedConfig) -> int:
    """Return the bytes per weight in forward and backward passes."""
    return 2 if options.precision == "bf16" else 4


def traffic_per_step(
    options: DeepSpeedConfig, *, num_workers: int, passes: int, trained: int, parameters: int
) -> int:
    """Return the bytes that each worker sends to others in a step.

    ZeRO-2 scatters every pass's gradients and gathers the weights once; ZeRO-3 gathers them in
    every forward and backward pass (Rajbhandari et al., "ZeRO", 2020, section 7).
    """
    share = (num_workers - 1) / num_workers
    gradient_bytes = (2 if options.precision != "float32" else 4) * trained * passes
    gathers = 2 * passes if options.zero_stage == 3 else 1
    gathered = parameters if options.zero_stage == 3 else trained
    return int(share * (gradient_bytes + weight_size(options) * gathered * gathers))
