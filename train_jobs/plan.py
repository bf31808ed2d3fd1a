"""Plan of a training job: memory, compute, traffic and time, without starting it.

Uses only the configurations of base and encoder; reads no weights and starts no worker.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelsat.modeling.card_features import card_features
from modelsat.processor import DType, measure_flop_per_s, native_dtype
from modelsat.training.outputs import scoring_batch
from train_jobs.chips import (
    CHIPS,
    GPUS_PER_MACHINE,
    HOST_LINK_GB_PER_S,
    HOST_MEMORY_GB_PER_S,
    MACHINE_LINK_GB_PER_S,
    UTILISATION_FRACTION,
)
from train_jobs.config import TrainJobConfig
from train_jobs.data import measure_training_data
from train_jobs.footprint import Footprint, PassShape, measure_pass, measure_scoring
from train_jobs.sharding import (
    ShardedMemory,
    kept_gradient_fraction,
    sharded_memory,
    traffic_per_step,
)

_CHARACTERS_PER_TOKEN = 4  # approximately, in English
_SPECIAL_TOKENS = 2
_STATEMENT_TOKENS = 24  # a task's name and five keywords
_PAPER_STATEMENTS = 50
# Without weights: interpreter, torch, DeepSpeed and Ray, measured on a CPU worker; on a GPU the
# CUDA context.
_RUNTIME_BYTES = {"cpu": 600 << 20, "cuda": 1 << 30}
_OPTIMIZER_BYTES = 32  # read and written per updated weight: weight, gradient, two moments


@dataclass(frozen=True)
class WorkLoad:
    """Size of the training data.

    Attributes:
        candidates: real candidates of a batch.
        statements: statements of a card.
        instructions: training instructions; None if unknown.
        steps: total steps of both stages; None if unknown.
    """

    candidates: int
    statements: int
    instructions: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class TrainPlan:
    """Requirements of a job in stage ``all``, in which everything trains.

    Attributes:
        work: size of the training data.
        footprint: cost of a worker's forward and backward pass.
        memory: a worker's training state by part, bytes.
        runtime: memory of the process itself, bytes.
        activations: additional peak memory of a training pass, bytes.
        validation: additional peak memory of scoring validation instructions, bytes.
        total: peak memory of a worker (of its GPU, or of its process), bytes.
        available: GPU memory, bytes; None if unknown.
        passes_per_step: passes of each worker per step.
        instructions_per_step: instructions of all workers per step.
        tokens_per_step: tokens of the base model over all workers, with padding.
        traffic: bytes that a worker sends to others in a step.
        step_s: estimated time of a step; None if the GPU type is unknown.
        assumptions: assumptions of the estimate.
    """

    work: WorkLoad
    footprint: Footprint
    memory: ShardedMemory
    runtime: int
    activations: int
    validation: int
    total: int
    available: int | None
    passes_per_step: int
    instructions_per_step: int
    tokens_per_step: int
    traffic: int
    step_s: float | None
    assumptions: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain values; memory is in bytes."""
        return {
            "parameters": dict(self.footprint.parameters),
            "trained_parameters": dict(self.footprint.trained),
            "parameter_groups": [vars(group) for group in self.footprint.groups],
            "memory_bytes": {
                "runtime": self.runtime,
                **vars(self.memory),
                "activations": self.activations,
                "validation": self.validation,
                "total": self.total,
                "available": self.available,
            },
            "candidates": self.work.candidates,
            "statements": self.work.statements,
            "training_instructions": self.work.instructions,
            "steps": self.work.steps,
            "passes_per_step": self.passes_per_step,
            "instructions_per_step": self.instructions_per_step,
            "tokens_per_step": self.tokens_per_step,
            "flop_per_step_and_worker": self.footprint.flop * self.passes_per_step,
            "traffic_bytes_per_step": self.traffic,
            "step_s": self.step_s,
            "assumptions": list(self.assumptions),
        }


def make_plan(config: TrainJobConfig, candidates: int | None = None) -> TrainPlan:
    """Plan a job.

    Args:
        config: the job.
        candidates: number of real candidates, with the paper's 50 statements each; None reads the
            job's tables.

    Raises:
        ArtifactError: a table or the configuration of base or encoder cannot be read.
    """
    config = _with_precision(config)
    work = _read_work(config) if candidates is None else WorkLoad(candidates, _PAPER_STATEMENTS)
    training, options, resources = config.training, config.deepspeed, config.resources
    shape = pass_shape(config, work)
    kept = kept_gradient_fraction(options, resources.num_workers)
    footprint = measure_pass(
        config.model,
        training,
        shape,
        precision=options.resolved_precision,
        recomputes=options.activation_checkpointing,
        kept_gradient_fraction=kept,
        fused_attention=resources.use_gpu,
    )
    validation = measure_scoring(
        config.model,
        training,
        scoring_shape(config, work),
        precision=options.resolved_precision,
        fused_attention=resources.use_gpu,
    )
    trained = sum(footprint.trained.values())
    memory = sharded_memory(
        options,
        num_workers=resources.num_workers,
        accumulates=training.gradient_accumulation_steps > 1,
        parameters=sum(footprint.parameters.values()),
        trained=trained,
        largest_parameter=footprint.largest_parameter,
        largest_group=max(group.parameters for group in footprint.groups),
    )
    runtime = _RUNTIME_BYTES["cuda" if resources.use_gpu else "cpu"]
    one_pass_gradients = int(kept * trained * (2 if options.precision == "bf16" else 4))
    activations = max(0, footprint.peak_bytes - one_pass_gradients)
    passes = training.gradient_accumulation_steps
    instructions = training.batch_size * passes * resources.num_workers
    traffic = traffic_per_step(
        options,
        num_workers=resources.num_workers,
        passes=passes,
        trained=trained,
        parameters=sum(footprint.parameters.values()),
    )
    step_s, assumptions = _step_time(config, footprint, trained, traffic)
    chip = CHIPS.get(resources.accelerator_type or "")
    return TrainPlan(
        work=work,
        footprint=footprint,
        memory=memory,
        runtime=runtime,
        activations=activations,
        validation=validation,
        total=_total(config, memory, runtime, max(activations, validation)),
        available=int(chip.memory_gib * 2**30) if chip and resources.use_gpu else None,
        passes_per_step=passes,
        instructions_per_step=instructions,
        tokens_per_step=instructions * _base_tokens_per_instruction(config, shape),
        traffic=traffic,
        step_s=step_s,
        assumptions=assumptions,
    )


def pass_shape(config: TrainJobConfig, work: WorkLoad) -> PassShape:
    """Return the sizes of a job's longest pass: all instructions at the maximum length."""
    model = config.model
    inquiry_tokens = len(model.inquiry) // _CHARACTERS_PER_TOKEN + _SPECIAL_TOKENS
    return PassShape(
        instructions=config.training.batch_size,
        candidates=work.candidates + config.training.composites,
        statements=work.statements,
        base_tokens=model.max_instruction_tokens + inquiry_tokens,
        encoder_tokens=min(model.max_encoder_tokens, model.max_instruction_tokens),
        statement_tokens=min(model.max_encoder_tokens, _STATEMENT_TOKENS),
    )


def scoring_shape(config: TrainJobConfig, work: WorkLoad) -> PassShape:
    """Return the sizes of the longest validation pass, with the neutral card."""
    num_cards = work.candidates + 1
    return replace(
        pass_shape(config, work),
        instructions=scoring_batch(config.model.layout, num_cards),
        candidates=num_cards,
    )


def _read_work(config: TrainJobConfig) -> WorkLoad:
    data = measure_training_data(config)
    sizes = [dataset.num_training for dataset in data]
    return WorkLoad(
        candidates=max(len(dataset.cards) for dataset in data),
        statements=max(len(card_features(dataset.cards).texts) for dataset in data),
        instructions=sum(sizes),
        steps=config.num_steps(sizes),
    )


def _base_tokens_per_instruction(config: TrainJobConfig, shape: PassShape) -> int:
    if config.model.layout == "capability_first":
        return shape.candidates * (shape.base_tokens + 1)
    return shape.base_tokens + shape.candidates


def _total(config: TrainJobConfig, memory: ShardedMemory, runtime: int, pass_peak: int) -> int:
    state = memory.weights + memory.gradients
    if not config.deepspeed.offload_optimizer:
        state += memory.master_weights + memory.optimizer_states
    elif not config.resources.use_gpu:
        state += memory.host
    return runtime + state + max(pass_peak + memory.buffers, memory.step)


def _with_precision(config: TrainJobConfig) -> TrainJobConfig:
    """The job with ``precision: auto`` resolved: for this machine's CPU, or for any newer GPU."""
    dtype = "bfloat16" if config.resources.use_gpu else native_dtype()
    return config.model_copy(update={"deepspeed": config.deepspeed.resolved(dtype)})


def _step_time(
    config: TrainJobConfig, footprint: Footprint, trained: int, traffic: int
) -> tuple[float | None, tuple[str, ...]]:
    resources, options = config.resources, config.deepspeed
    flop = footprint.flop * config.training.gradient_accumulation_steps
    if not resources.use_gpu:
        dtype: DType = "float32" if options.precision == "float32" else "bfloat16"
        rate = measure_flop_per_s(dtype, resources.threads_per_worker)
        note = f"matrix products run at {rate / 1e9:.0f} GFLOP/s, measured on this machine"
        return flop / rate, (note, "gradient reduction and optimizer are not included")
    chip = CHIPS.get(resources.accelerator_type or "")
    if chip is None:
        known = ", ".join(CHIPS)
        return None, (f"no step time: set resources.accelerator_type to one of {known}",)
    peak = chip.float32_tflop_per_s if options.precision == "float32" else chip.bf16_tflop_per_s
    crosses = resources.num_workers > GPUS_PER_MACHINE
    link = MACHINE_LINK_GB_PER_S if crosses else chip.link_gb_per_s
    seconds = flop / (UTILISATION_FRACTION * peak * 1e12) + traffic / (link * 1e9)
    notes = [
        f"{UTILISATION_FRACTION:.0%} utilisation of {peak:g} TFLOP/s",
        f"{link:g} GB/s between GPUs, {GPUS_PER_MACHINE} per machine, no overlap with compute",
    ]
    if options.offload_optimizer:
        shard = trained / resources.num_workers
        gradients = 2 * shard * config.training.gradient_accumulation_steps
        seconds += (gradients + 2 * shard) / (HOST_LINK_GB_PER_S * 1e9)
        seconds += _OPTIMIZER_BYTES * shard / (HOST_MEMORY_GB_PER_S * 1e9)
        notes.append(
            f"{HOST_LINK_GB_PER_S:g} GB/s to the host, {HOST_MEMORY_GB_PER_S:g} GB/s of host "
            "memory bandwidth per GPU for the optimizer"
        )
    return seconds, tuple(notes)


def plan_lines(config: TrainJobConfig, plan: TrainPlan) -> list[str]:
    """Format the plan as lines for people."""
    parts = plan.footprint.parameters
    rows: Mapping[str, int] = {
        "runtime": plan.runtime,
        "weights": plan.memory.weights,
        "master weights": plan.memory.master_weights,
        "optimizer states": plan.memory.optimizer_states,
        "gradients": plan.memory.gradients,
        "activations": plan.activations,
        "validation": plan.validation,
        "buffers": plan.memory.buffers,
        "step copies": plan.memory.step,
    }
    where = "GPU" if config.resources.use_gpu else "worker"
    note = " (in host memory)" if config.deepspeed.offload_optimizer else ""
    offloaded = ("master weights", "optimizer states")
    lines = ["parameters"]
    lines += [f"  {name:<18} {count / 1e6:>10,.1f} M" for name, count in parts.items()]
    lines += [f"  {'total':<18} {sum(parts.values()) / 1e6:>10,.1f} M", "learning rates"]
    lines += [
        f"  {group.learning_rate:<8g} decay {group.weight_decay:<5g} "
        f"{group.parameters / 1e6:>7,.1f} M"
        for group in plan.footprint.groups
    ]
    lines.append(f"memory of a {where}, stage 2")
    lines += [
        f"  {name:<18} {size / 2**30:>10,.2f} GiB{note if name in offloaded else ''}"
        for name, size in rows.items()
    ]
    lines.append(f"  {'peak':<18} {plan.total / 2**30:>10,.2f} GiB{_verdict(plan)}")
    if plan.memory.host:
        lines.append(f"  {'host memory':<18} {plan.memory.host / 2**30:>10,.2f} GiB per GPU")
    return lines + _step_lines(config, plan)


def _verdict(plan: TrainPlan) -> str:
    if plan.available is None:
        return ""
    fits = "fits in" if plan.total <= plan.available else "MORE THAN"
    return f", {fits} {plan.available / 2**30:.0f}"


def _step_lines(config: TrainJobConfig, plan: TrainPlan) -> list[str]:
    lines = [
        "step",
        f"  {config.resources.num_workers} workers x {plan.passes_per_step} passes x "
        f"{config.training.batch_size} instructions = {plan.instructions_per_step} instructions "
        f"with {plan.work.candidates} + {config.training.composites} candidates",
        f"  {plan.tokens_per_step:,} tokens at most, "
        f"{plan.footprint.flop * plan.passes_per_step / 1e12:,.1f} TFLOP and "
        f"{plan.traffic / 1e9:,.2f} GB sent by each worker",
    ]
    if plan.step_s is not None:
        lines.append(f"  about {plan.step_s:,.1f} s")
    if plan.work.steps is not None and plan.step_s is not None:
        hours = plan.work.steps * plan.step_s / 3600
        lines.append(f"  {plan.work.steps:,} steps of both stages: about {hours:,.1f} h")
    return lines + [f"  assumed: {note}" for note in plan.assumptions]
