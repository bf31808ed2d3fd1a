"""Compute and memory cost of a training pass, measured on fake tensors (shapes without data).

Forward and backward run as in training, under a fake-tensor mode: operations that save tensors for
the backward pass also save them here, so peak memory is counted, not estimated.

Shapes: B instructions, M candidates, T statements, S tokens.
"""

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from modelsat.modeling.config import ModelConfig
from modelsat.modeling.model import ModelSat
from modelsat.modeling.tokenization import InstructionTokens
from modelsat.training.adapters import is_adapter
from modelsat.training.config import Precision, StageName, TrainingConfig
from modelsat.training.stages import adapt_for_stage, freeze_for_stage, parameter_groups
from train_jobs.attention import use_eager_attention
from train_jobs.recomputation import recompute_activations
from train_jobs.shapes import build_shapes


@dataclass(frozen=True)
class PassShape:
    """Sizes of a forward pass.

    Attributes:
        instructions: B.
        candidates: M, composites included.
        statements: T, statements of a card.
        base_tokens: S, tokens of an instruction with inquiry.
        encoder_tokens: tokens of an instruction in the encoder.
        statement_tokens: tokens of a statement.
    """

    instructions: int
    candidates: int
    statements: int
    base_tokens: int
    encoder_tokens: int
    statement_tokens: int


@dataclass(frozen=True)
class GroupSize:
    """Number of trained parameters with the same learning rate and weight decay.

    Attributes:
        learning_rate: peak rate.
        weight_decay: decay.
        parameters: number of elements.
    """

    learning_rate: float
    weight_decay: float
    parameters: int


@dataclass(frozen=True)
class Footprint:
    """Cost of a forward and backward pass.

    Attributes:
        parameters: number of parameters by part of the model; ``adapters`` apart from ``base``.
        trained: number of trained parameters by part.
        groups: trained parameters by learning rate and decay.
        largest_parameter: elements of the largest trained parameter.
        flop: floating-point operations of the matrix products, including recomputation.
        peak_bytes: peak size of live tensors without the weights; gradients of the weights are
            counted at ``kept_gradient_fraction``.
    """

    parameters: Mapping[str, int]
    trained: Mapping[str, int]
    groups: tuple[GroupSize, ...]
    largest_parameter: int
    flop: int
    peak_bytes: int


def measure_pass(
    config: ModelConfig,
    training: TrainingConfig,
    shape: PassShape,
    *,
    stage: StageName = "all",
    precision: Precision = "float32",
    recomputes: bool = False,
    kept_gradient_fraction: float = 1.0,
    fused_attention: bool = False,
) -> Footprint:
    """Measure a forward and backward pass on fake tensors.

    Args:
        config: model configuration.
        training: frozen layers, adapters and learning rates.
        shape: sizes of the pass.
        stage: training stage.
        precision: dtype of weights and products.
        recomputes: whether activation checkpointing is on.
        kept_gradient_fraction: share of each complete gradient that stays in memory; with sharding
            1 / number of workers.
        fused_attention: attention never stores its weights, not even with dropout, as on GPUs.

    Raises:
        ArtifactError: the configuration of base or encoder cannot be read.
        ConfigError: the base model has no layers that match the adapters.
        MachineError: adapters are configured, but peft is not installed.
    """
    with _on_shapes(config, training, stage, precision, fused_attention) as model:
        if recomputes:
            recompute_activations(model)
        freeze_for_stage(model, stage, training.frozen_layers)
        costs = _Costs(model)
        with costs.keeping_gradients(kept_gradient_fraction), costs:
            with _autocast(precision):
                scores_BM, log_relevance_BT, _ = model(*pass_inputs(shape))
            (scores_BM.float().sum() + log_relevance_BT.float().sum()).backward()
        trained = [p for p in model.parameters() if p.requires_grad]
        groups = parameter_groups(model, training.stage(stage), training.weight_decay)
        return Footprint(
            parameters=_count_by_part(model, trained_only=False),
            trained=_count_by_part(model, trained_only=True),
            groups=tuple(
                GroupSize(g["lr"], g["weight_decay"], sum(p.numel() for p in g["params"]))
                for g in groups
            ),
            largest_parameter=max(p.numel() for p in trained),
            flop=costs.flop,
            peak_bytes=costs.peak_bytes,
        )


def measure_scoring(
    config: ModelConfig,
    training: TrainingConfig,
    shape: PassShape,
    *,
    precision: Precision = "float32",
    fused_attention: bool = False,
) -> int:
    """Measure a forward pass without gradients on fake tensors, as in validation of stage ``all``.

    Args:
        config: model configuration.
        training: the adapters.
        shape: sizes of the pass.
        precision: dtype of weights and products.
        fused_attention: as in :func:`measure_pass`.

    Returns:
        Peak size of live tensors without the weights, bytes.

    Raises:
        ArtifactError: the configuration of base or encoder cannot be read.
        ConfigError: the base model has no layers that match the adapters.
        MachineError: adapters are configured, but peft is not installed.
    """
    with _on_shapes(config, training, "all", precision, fused_attention) as model:
        model.eval()
        costs = _Costs(model)
        with costs, torch.no_grad(), _autocast(precision):
            model(*pass_inputs(shape))
        return costs.peak_bytes


@contextmanager
def _on_shapes(
    config: ModelConfig,
    training: TrainingConfig,
    stage: StageName,
    precision: Precision,
    fused_attention: bool,
) -> Iterator[ModelSat]:
    """Build a stage's model in a fake-tensor mode, with the target machine's attention."""
    with torch.device("meta"):
        model = build_shapes(config, torch.bfloat16 if precision == "bf16" else torch.float32)
        adapt_for_stage(model, stage, training)
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu")
        if fused_attention:
            _disable_attention_dropout(model)
        else:
            use_eager_attention(model, torch.device("cpu"), precision)
        yield model


def pass_inputs(shape: PassShape) -> tuple[InstructionTokens, dict[str, Tensor], Tensor]:
    """Return inputs of these sizes for :meth:`ModelSat.forward`: constant tokens, zero cards."""
    tokens = InstructionTokens(
        _ids(shape.instructions, shape.base_tokens),
        _ids(shape.instructions, shape.base_tokens),
        _features(shape.instructions, shape.encoder_tokens),
    )
    statements = _features(shape.statements, shape.statement_tokens)
    return tokens, statements, torch.zeros(shape.candidates, shape.statements)


class _Costs(TorchDispatchMode):
    """Counts the FLOP of each operation and the storages of its results while they are alive."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._model = model
        self._known: set[int] = set()
        self._live_bytes = 0
        self.peak_bytes = 0
        self.flop = 0
        for tensor in (*model.parameters(), *model.buffers()):
            self._known.add(_key(tensor))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        formula = _FLOP.get(func._overloadpacket)
        if formula is not None:
            self.flop += int(formula(*args, **(kwargs or {}), out_val=result))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf)
        return result

    @contextmanager
    def keeping_gradients(self, fraction: float) -> Iterator[None]:
        """Keep a share of each gradient once it is complete, and free the rest."""

        def keep(parameter: Tensor) -> None:
            assert parameter.grad is not None
            # The kept share is a copy: for a moment both exist.
            self._live_bytes += int(fraction * parameter.grad.nbytes)
            self.peak_bytes = max(self.peak_bytes, self._live_bytes)
            parameter.grad = None

        hooks = [
            parameter.register_post_accumulate_grad_hook(keep)
            for parameter in self._model.parameters()
            if parameter.requires_grad
        ]
        yield
        for hook in hooks:
            hook.remove()

    def _add(self, tensor: Tensor) -> None:
        key = _key(tensor)
        if key in self._known:
            return
        storage = tensor.untyped_storage()
        self._known.add(key)
        self._live_bytes += storage.nbytes()
        self.peak_bytes = max(self.peak_bytes, self._live_bytes)
        weakref.finalize(storage, self._remove, key, storage.nbytes())

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._live_bytes -= size


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _attention_flop(query: Tensor, key: Tensor, *_args: Any, **_kwargs: Any) -> int:
    # Two products of every query with every key.
    return 4 * query.numel() * key.shape[2]


def _attention_backward_flop(
    _gradient: Tensor, query: Tensor, key: Tensor, *_args: Any, **_kwargs: Any
) -> int:
    # The scores are recomputed, then four products for the gradients.
    return 10 * query.numel() * key.shape[2]


_aten = torch.ops.aten
_FLOP = {
    **flop_registry,
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention_flop,
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flop,
}


def _disable_attention_dropout(model: nn.Module) -> None:
    """Set attention dropout to 0: the CPU's fused kernel does not support it, the GPU's does."""
    for module in model.modules():
        if isinstance(getattr(module, "attention_dropout", None), float):
            setattr(module, "attention_dropout", 0.0)  # noqa: B010 - unknown to mypy
        if type(module).__name__.endswith("SelfAttention") and hasattr(module, "dropout"):
            module.dropout = nn.Dropout(0.0)


def _autocast(precision: Precision) -> Any:
    return torch.autocast("cpu", torch.bfloat16) if precision == "autocast" else nullcontext()


def _features(*size: int) -> dict[str, Tensor]:
    return {"input_ids": _ids(*size), "attention_mask": _ids(*size)}


def _ids(*size: int) -> Tensor:
    return torch.ones(size, dtype=torch.int64)


def _count_by_part(model: ModelSat, *, trained_only: bool) -> dict[str, int]:
    counts = {name: 0 for name, _ in model.named_children()}
    for name, parameter in model.named_parameters():
        part = "adapters" if is_adapter(name) else name.partition(".")[0]
        counts.setdefault(part, 0)
        if parameter.requires_grad or not trained_only:
            counts[part] += prod(parameter.shape)
    return counts
