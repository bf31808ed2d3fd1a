"""The demo's optimizer, against PyTorch's and against a singular value decomposition."""

import pytest
import torch

from modelsat.demo.muon import Muon, orthogonalized

SHAPES = [(24, 24), (16, 40), (40, 16)]


def drawn(shape: tuple[int, int], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_keeps_its_directions_and_loses_its_scales(shape):
    matrix = drawn(shape, 0)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonalized(matrix)
    assert result.dtype == torch.float32
    within = left.T @ result @ right.T
    scales = within.diagonal()
    assert scales.min() > 0.5
    assert scales.max() < 1.3
    assert (within - scales.diag()).abs().max() < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_are_those_of_pytorchs_optimizer(shape):
    """Which rounds to bfloat16: in the sum of some steps, to a part of their length."""
    start = drawn(shape, 1)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    optimizers = (
        (ours, Muon([ours], lr=0.02, weight_decay=0.1)),
        (theirs, torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1)),
    )
    for seed in range(2, 6):
        for matrix, optimizer in optimizers:
            matrix.grad = drawn(shape, seed)
            optimizer.step()
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() < 4 * torch.finfo(torch.bfloat16).eps * moved
    assert moved > 0.1


def test_a_convolution_steps_as_its_flattened_matrix():
    start, gradient = drawn((6, 3, 2, 2), 1), drawn((6, 3, 2, 2), 2)
    convolution = start.clone().requires_grad_()
    matrix = start.flatten(1).clone().requires_grad_()
    convolution.grad, matrix.grad = gradient, gradient.flatten(1)
    for weight in (convolution, matrix):
        Muon([weight], lr=0.02).step()
    torch.testing.assert_close(convolution.flatten(1), matrix)
    assert not torch.equal(convolution, start)


def test_a_weight_without_gradient_is_not_changed():
    start = drawn((4, 4), 1)
    with_gradient, without = start.clone().requires_grad_(), start.clone().requires_grad_()
    with_gradient.grad = drawn((4, 4), 2)
    Muon([without, with_gradient], lr=0.02, weight_decay=0.1).step()
    assert torch.equal(without, start)
    assert not torch.equal(with_gradient, start)
