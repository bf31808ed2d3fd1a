"""Scoring instructions against cards with a loaded router."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from modelsat.capability.cards import Card, check_same_tasks
from modelsat.modeling.card_features import card_features
from modelsat.modeling.checkpoint import Router, load_router

Floats = npt.NDArray[np.float32]


class Scorer:
    """A router ready to score; cards are read, and their statements embedded, once.

    Attributes:
        tasks_hashes: the aptitude tests whose cards it reads.
        num_forward_passes: passes of the base model so far.
    """

    def __init__(
        self, router: Router, device: str = "cpu", *, also_reads: Collection[str] = ()
    ) -> None:
        """Take a loaded router and move it to a torch device.

        Args:
            router: the router.
            device: torch's name of the device.
            also_reads: hashes of aptitude tests that the router was not trained to read, whose
                cards are scored all the same. Their questions may be harder or easier, which
                shifts the probabilities.
        """
        self.router = router
        self.tasks_hashes = (*router.tasks_hashes, *also_reads)
        self.device = torch.device(device)
        self.num_forward_passes = 0
        self._zoo: _ReadZoo | None = None
        router.model.eval().to(self.device)

    @classmethod
    def load(
        cls, router_dir: str | Path, device: str = "cpu", *, also_reads: Collection[str] = ()
    ) -> "Scorer":
        """Load a router directory; raises ArtifactError if it is missing or corrupt."""
        return cls(load_router(router_dir), device, also_reads=also_reads)

    def score(self, instructions: Sequence[str], cards: Sequence[Card]) -> Floats:
        """Calibrated P(correct), float32 [num_instructions, num_cards].

        Raises:
            ArtifactError: a card comes from another task set than the router was trained on.
            ZooError: no card is given.
        """
        return self.router.calibration.probabilities(self.log_odds(instructions, cards))

    @torch.inference_mode()
    def log_odds(self, instructions: Sequence[str], cards: Sequence[Card]) -> Floats:
        """Uncalibrated log-odds of "Yes", float32 [num_instructions, num_cards]."""
        zoo = self._read(tuple(cards))
        if not instructions:
            return np.zeros((0, len(cards)), dtype=np.float32)
        tokens = self.router.tokenizer(instructions).to(self.device)
        self.num_forward_passes += 1
        scores_BM = self.router.model.score(
            tokens, zoo.statements_TE, zoo.weights_MT, zoo.effects_MT
        )
        return np.asarray(scores_BM.float().cpu().numpy(), dtype=np.float32)

    def log_odds_in_batches(
        self, instructions: Sequence[str], cards: Sequence[Card], batch_size: int = 64
    ) -> Floats:
        """The same for many instructions, of like length together to save padding."""
        result = np.zeros((len(instructions), len(cards)), dtype=np.float32)
        order = sorted(range(len(instructions)), key=lambda i: len(instructions[i]))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            result[rows] = self.log_odds([instructions[i] for i in rows], cards)
        return result

    def _read(self, cards: tuple[Card, ...]) -> "_ReadZoo":
        """What the network needs of the cards, kept until others come."""
        if self._zoo is not None and self._zoo.cards == cards:
            return self._zoo
        check_same_tasks(cards, self.tasks_hashes, source="cards to score")
        features = card_features(cards)
        known = self.router.known_cards.get(cards[0].tasks_hash)
        effects = np.zeros_like(features.weights_MT) if known is None else known.effects(cards)
        if self._zoo is not None and self._zoo.texts == features.texts:
            statements_TE = self._zoo.statements_TE
        else:
            tokens = self.router.tokenizer.encoder_features(features.texts)
            moved = {name: value.to(self.device) for name, value in tokens.items()}
            statements_TE = self.router.model.encode(moved)
        self._zoo = _ReadZoo(
            cards,
            features.texts,
            statements_TE,
            torch.from_numpy(features.weights_MT).to(self.device),
            torch.from_numpy(effects).to(self.device),
        )
        return self._zoo


@dataclass(frozen=True)
class _ReadZoo:
    cards: tuple[Card, ...]
    texts: tuple[str, ...]
    statements_TE: Tensor
    weights_MT: Tensor
    effects_MT: Tensor
