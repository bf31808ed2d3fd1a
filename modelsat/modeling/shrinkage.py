"""How far to trust what the network says of a candidate on one instruction alone.

What it says of an instruction for any candidate and of a candidate for any instruction rests on
many outcomes; what is left, on few. Adding more of the first two shrinks the third, once
calibration has scaled all of it.

Shapes: C cells of instruction and card.
"""

import numpy as np
import numpy.typing as npt
import torch

from modelsat.config import FrozenConfig

Floats = npt.NDArray[np.float32]


class Shrinkage(FrozenConfig):
    """Weights of what is added to the network's log-odds.

    Attributes:
        instruction: of the log-odds of a card of even odds everywhere (evidence 0), which tell how
            hard the instruction is.
        candidate: of a card's mean evidence, which tells how good the candidate is.
    """

    instruction: float = 0.0
    candidate: float = 0.0

    def shrunk(self, log_odds: Floats, even: Floats, evidence: Floats) -> Floats:
        """Log-odds in which instruction and candidate count for more, float32.

        Args:
            log_odds: the network's, effects of known cards among them, of any shape.
            even: the network's for a card of evidence 0 on the same instructions.
            evidence: mean evidence of the same cards; both broadcast to the first.
        """
        added = self.instruction * even + self.candidate * evidence
        return np.asarray(log_odds + added, dtype=np.float32)


def fit_shrinkage(
    log_odds_C: Floats, even_C: Floats, evidence_C: Floats, correct_C: Floats
) -> Shrinkage:
    """Weights that explain outcomes best, by logistic regression on data apart from training.

    Args:
        log_odds_C: the network's for each cell.
        even_C: its log-odds for a card of evidence 0 on the cell's instruction.
        evidence_C: mean evidence of the cell's card.
        correct_C: outcomes in 0..1.
    """
    cells = (log_odds_C, even_C, evidence_C)
    log_odds, even, evidence = (torch.from_numpy(part.astype(np.float64)) for part in cells)
    targets = torch.from_numpy(correct_C.astype(np.float64))
    parameters = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        log_scale, instruction, candidate, shift = parameters
        logits = log_scale.exp() * (log_odds + instruction * even + candidate * evidence) + shift
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        # A weak pull: separable data would drive the weights to infinity.
        penalised = loss + 1e-4 * parameters[:3].square().sum()
        penalised.backward()
        return penalised

    optimizer.step(closure)
    _, instruction, candidate, _ = parameters.detach().tolist()
    return Shrinkage(instruction=instruction, candidate=candidate)
