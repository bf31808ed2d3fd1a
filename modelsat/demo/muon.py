"""Muon in float32: gradients of matrices, made orthogonal before they are applied.

``torch.optim.Muon`` orthogonalizes in bfloat16, which processors without AVX-512 emulate: there it
took four fifths of a training step of the demo.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

# Coefficients of the quintic Newton-Schulz iteration of Jordan, "Muon" (2024), as in torch.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalized.

    Source:
        Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024.

    Args:
        matrices: parameters of two dimensions or more; of a convolution's weight, all dimensions
            but the first count as one. A parameter without gradient is not changed.
        lr: learning rate.
        momentum: of Nesterov's momentum.
        weight_decay: decoupled, as AdamW's.
        num_iterations: Newton-Schulz iterations.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        lr: float,
        *,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        num_iterations: int = 5,
    ) -> None:
        """Start with no momentum."""
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(matrices, defaults)
        self._num_iterations = num_iterations

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all matrices by their gradients."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                average = self.state[matrix].setdefault("average", torch.zeros_like(matrix))
                average.lerp_(matrix.grad, 1 - group["momentum"])
                update = orthogonalized(
                    matrix.grad.lerp(average, group["momentum"]).flatten(1), self._num_iterations
                )
                rows, columns = update.shape
                scale = max(1.0, rows / columns) ** 0.5
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update.view_as(matrix), alpha=-group["lr"] * scale)


def orthogonalized(matrix: Tensor, num_iterations: int = 5) -> Tensor:
    """Return nearly ``U V^T`` of a matrix ``U S V^T``, in its own dtype.

    Args:
        matrix: of any shape [R, C].
        num_iterations: Newton-Schulz iterations; with 5, singular values end within 0.7 to 1.2.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp(min=_EPSILON)
    for _ in range(num_iterations):
        gram = x @ x.T
        polynomial = torch.addmm(gram, gram, gram, beta=_B, alpha=_C)
        x = torch.addmm(x, polynomial, x, beta=_A)
    return x.T if is_tall else x
