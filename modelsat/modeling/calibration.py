"""Calibration: convert the router's log-odds to probabilities of a correct answer."""

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from modelsat.config import FrozenConfig

Floats = npt.NDArray[np.float32]


class Calibration(FrozenConfig):
    """Platt scaling: P(correct) = sigmoid(scale * log-odds + shift).

    Attributes:
        scale: positive, so calibration preserves the order of candidates.
        shift: log-odds added to every score.
    """

    scale: float = Field(default=1.0, gt=0)
    shift: float = 0.0

    def probabilities(self, log_odds: Floats) -> Floats:
        """Return calibrated probabilities, float32, of any shape; NaN stays NaN."""
        scaled = np.clip(self.scale * log_odds.astype(np.float64) + self.shift, -60.0, 60.0)
        return (1.0 / (1.0 + np.exp(-scaled))).astype(np.float32)


def fit_calibration(log_odds: Floats, correct: Floats) -> Calibration:
    """Fit scale and shift by maximum likelihood on data outside the training and test sets.

    Args:
        log_odds: scores, one-dimensional.
        correct: outcomes in 0..1, same shape.
    """
    scores = torch.from_numpy(np.asarray(log_odds, dtype=np.float64))
    targets = torch.from_numpy(np.asarray(correct, dtype=np.float64))
    parameters = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = parameters[0].exp() * scores + parameters[1]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        # A weak penalty towards scale 1: on separable data the optimum would be infinite.
        penalised = loss + 1e-3 * parameters[0] ** 2
        penalised.backward()
        return penalised

    optimizer.step(closure)
    scale, shift = parameters.detach().tolist()
    return Calibration(scale=float(np.exp(scale)), shift=shift)
