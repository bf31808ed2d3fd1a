"""Shrinkage of the network's log-odds towards their instruction and candidate effects.

The network's estimate of an instruction over all candidates, and of a candidate over all
instructions, rests on many outcomes; the interaction of the two rests on few. Adding more of the
two effects shrinks the interaction, since calibration rescales the sum.

Shapes: C cells of instruction and card.
"""

import numpy as np
import numpy.typing as npt
import torch

from modelsat.config import FrozenConfig

Floats = npt.NDArray[np.float32]


class Shrinkage(FrozenConfig):
    """Weights of the terms that are added to the network's log-odds.

    Attributes:
        instruction: weight of the log-odds of a neutral card (evidence 0), which measure how hard
            the instruction is.
        candidate: weight of a card's mean evidence, which measures how good the candidate is.
    """

    instruction: float = 0.0
    candidate: float = 0.0

    def apply(self, log_odds: Floats, neutral: Floats, evidence: Floats) -> Floats:
        """Add the weighted instruction and candidate effects to log-odds, float32.

        Args:
            log_odds: the network's log-odds, including effects of known cards, of any shape.
            neutral: log-odds of a neutral card on the same instructions; broadcast.
            evidence: mean evidence of the same cards; broadcast.
        """
        effects = self.instruction * neutral + self.candidate * evidence
        return np.asarray(log_odds + effects, dtype=np.float32)


def fit_shrinkage(
    log_odds_C: Floats, neutral_C: Floats, evidence_C: Floats, correct_C: Floats
) -> Shrinkage:
    """Fit the weights by logistic regression on data outside the training set.

    Args:
        log_odds_C: the network's log-odds for each cell.
        neutral_C: its log-odds for a neutral card on the cell's instruction.
        evidence_C: mean evidence of the cell's card.
        correct_C: outcomes in 0..1.
    """
    cells = (log_odds_C, neutral_C, evidence_C)
    log_odds, neutral, evidence = (torch.from_numpy(part.astype(np.float64)) for part in cells)
    targets = torch.from_numpy(correct_C.astype(np.float64))
    parameters = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        log_scale, instruction, candidate, shift = parameters
        logits = log_scale.exp() * (log_odds + instruction * neutral + candidate * evidence) + shift
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        # A weak penalty: on separable data the optimum would be infinite.
        penalised = loss + 1e-4 * parameters[:3].square().sum()
        penalised.backward()
        return penalised

    optimizer.step(closure)
    _, instruction, candidate, _ = parameters.detach().tolist()
    return Shrinkage(instruction=instruction, candidate=candidate)
