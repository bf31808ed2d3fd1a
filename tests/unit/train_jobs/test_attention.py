"""Eager attention for training agrees with the fused kernel."""

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from tests.support.router_parts import make_router
from train_jobs.attention import use_eager_attention

CPU = torch.device("cpu")


def implementations(model: torch.nn.Module) -> set[str]:
    parts = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    assert parts
    return {part.config._attn_implementation for part in parts}


@pytest.mark.parametrize("precision", ["autocast", "bf16"])
def test_eager_attention_is_used_where_it_is_faster(tmp_path, precision):
    model = make_router(tmp_path).model
    before = implementations(model)
    use_eager_attention(model, torch.device("cuda"), precision)
    use_eager_attention(model, CPU, "float32")
    assert implementations(model) == before == {"sdpa"}
    use_eager_attention(model, CPU, precision)
    assert implementations(model) == {"eager"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scores_and_gradients_equal_those_of_the_fused_kernel(tmp_path, dtype):
    """To rounding; the instructions are of unlike length, so one is padded."""
    router = make_router(tmp_path)
    model, texts = router.model, ["two plus two", "which of these rivers is the longest of all"]
    tokens = router.tokenizer(texts)
    statements = router.tokenizer.encoder_features(["algebra: adds", "rivers: names them"])
    weights = torch.tensor([[1.0, -1.0], [0.5, 2.0], [-1.0, 0.0]])

    def run() -> tuple[np.ndarray, np.ndarray]:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            scores, _, _ = model(tokens, statements, weights)
        scores.float().square().sum().backward()
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        return scores.detach().float().numpy(), torch.cat(gradients).numpy()

    fused_scores, fused = run()
    use_eager_attention(model, CPU, "autocast")
    scores, gradient = run()
    # Processors round sums in another order; over the network's products that adds up to some eps.
    tolerance = 16 * torch.finfo(dtype).eps
    np.testing.assert_allclose(scores, fused_scores, atol=tolerance * np.abs(fused_scores).max())
    assert not np.array_equal(gradient, fused)  # another computation indeed
    distance = np.linalg.norm(gradient - fused) / np.linalg.norm(fused)
    assert distance < tolerance
