"""Scoring instructions against cards with a loaded router, and saying what a score rests on.

Shapes: B instructions, M cards, T statements.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from modelsat.capability.cards import Card, check_same_tasks
from modelsat.errors import ArtifactError
from modelsat.modeling.card_features import (
    CardFeatures,
    card_features,
    statement_text,
    with_neutral_card,
)
from modelsat.modeling.checkpoint import Router, load_router
from modelsat.processor import DType, native_dtype

Floats = npt.NDArray[np.float32]

DTypeSetting = DType | Literal["auto"]
_TILE_ROWS = 4


@dataclass(frozen=True)
class StatementShare:
    """What one statement of a card had to do with an instruction.

    Attributes:
        task: core task that the statement is about.
        relevance_fraction: share of this task in what matters for the instruction, 0..1; over all
            statements of a card it sums to 1.
        accuracy_fraction: share of the candidate's answers that were correct, 0..1.
        num_shots: answers graded.
        contribution: relevance times evidence, a log-odds; above 0 it speaks for the candidate.
            Over all statements of a card it sums to the card's level on what is relevant, from
            which the score starts (docs/decisions/0009).
    """

    task: str
    relevance_fraction: float
    accuracy_fraction: float
    num_shots: int
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """The score of one card and the statements that mattered most for it.

    Attributes:
        p_correct: calibrated P(correct), 0..1.
        statements: most relevant first.
    """

    p_correct: float
    statements: tuple[StatementShare, ...]


class Scorer:
    """A router ready to score; cards are read, and their statements embedded, once.

    Attributes:
        tasks_hashes: the aptitude tests whose cards it reads.
        num_forward_passes: passes of the base model so far.
    """

    def __init__(
        self,
        router: Router,
        device: str = "cpu",
        *,
        dtype: DTypeSetting = "auto",
        also_reads: Collection[str] = (),
    ) -> None:
        """Take a loaded router, which is changed: moved to a torch device and made to score.

        Args:
            router: the router.
            device: torch's name of the device.
            dtype: of base model and encoder. ``bfloat16`` halves the time of a decision on CPUs
                that compute in it, and moves P(correct) by some thousandths (docs/experiments.md);
                ``auto`` is what the processor computes in natively
                (:func:`modelsat.processor.native_dtype`).
            also_reads: hashes of aptitude tests that the router was not trained to read, whose
                cards are scored all the same. Their questions may be harder or easier, which
                shifts the probabilities.
        """
        self.router = router
        self.tasks_hashes = (*router.tasks_hashes, *also_reads)
        self.device = torch.device(device)
        self.num_forward_passes = 0
        self._zoo: _ReadZoo | None = None
        chosen = native_dtype(device) if dtype == "auto" else dtype
        router.model.prepare_for_inference(getattr(torch, chosen))
        router.model.to(self.device)

    @classmethod
    def load(
        cls,
        router_dir: str | Path,
        device: str = "cpu",
        *,
        dtype: DTypeSetting = "auto",
        also_reads: Collection[str] = (),
    ) -> "Scorer":
        """Load a router directory; raises ArtifactError if it is missing or corrupt."""
        return cls(load_router(router_dir), device, dtype=dtype, also_reads=also_reads)

    def score(self, instructions: Sequence[str], cards: Sequence[Card]) -> Floats:
        """Calibrated P(correct), float32 [num_instructions, num_cards].

        Raises:
            ArtifactError: a card comes from another task set than the router was trained on, or
                makes other statements than its task set has tasks.
            ZooError: no card is given.
        """
        return self.router.calibration.probabilities(self.log_odds(instructions, cards))

    def explain(
        self, instruction: str, cards: Sequence[Card], top_k: int
    ) -> tuple[Explanation, ...]:
        """Scores as :meth:`score` gives them, in the same one pass, and what they rest on.

        Relevance depends on the instruction alone, so that all cards are explained by the same
        statements, and cards, which are arguments, may be edited to see a score move.

        Args:
            instruction: one instruction.
            cards: as for :meth:`score`.
            top_k: statements to give of each card, at most.

        Returns:
            One explanation for each card, in order.
        """
        zoo = self._read(tuple(cards))
        log_odds_BM, relevance_BT = self._judge([instruction], zoo)
        p_correct_M = self.router.calibration.probabilities(log_odds_BM)[0]
        relevance_T = relevance_BT[0]
        top = np.argsort(-relevance_T, kind="stable")[:top_k]
        contribution_MK = relevance_T[top] * zoo.features.weights_MT[:, top]
        return tuple(
            Explanation(
                float(p_correct),
                tuple(
                    _share(card, int(t), relevance_T[t], contribution)
                    for t, contribution in zip(top, contribution_K, strict=True)
                ),
            )
            for card, p_correct, contribution_K in zip(
                zoo.cards, p_correct_M, contribution_MK, strict=True
            )
        )

    def log_odds(self, instructions: Sequence[str], cards: Sequence[Card]) -> Floats:
        """Uncalibrated log-odds of "Yes", float32 [num_instructions, num_cards]."""
        zoo = self._read(tuple(cards))
        if not instructions:
            return np.zeros((0, len(cards)), dtype=np.float32)
        return self._judge(instructions, zoo)[0]

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

    @torch.inference_mode()
    def _judge(self, instructions: Sequence[str], zoo: "_ReadZoo") -> tuple[Floats, Floats]:
        """Log-odds [B, M] and relevance of the statements [B, T], by one pass."""
        tokens = self.router.tokenizer(instructions).to(self.device)
        self.num_forward_passes += 1
        log_odds_BM, relevance_BT = self.router.model.score(
            tokens, zoo.statements_TE, zoo.weights_MT, zoo.effects_MT, zoo.difficulty_E
        )
        log_odds_BM = log_odds_BM[:, : 1 + len(zoo.cards)]
        neutral_B1, cards_BM = np.split(log_odds_BM.float().cpu().numpy(), [1], axis=1)
        shrunk_BM = self.router.shrinkage.apply(cards_BM, neutral_B1, zoo.mean_evidence_M)
        return shrunk_BM, relevance_BT.cpu().numpy()

    @torch.inference_mode()
    def _read(self, cards: tuple[Card, ...]) -> "_ReadZoo":
        """What the network needs of the cards, kept until others come.

        Statements are embedded again only when their words change, which a change of the zoo
        does not do; the rest takes some 20 ms for 1,000 cards.
        """
        before = self._zoo
        if before is not None and before.cards == cards:
            return before
        check_same_tasks(cards, self.tasks_hashes, source="cards to score")
        features = card_features(cards)
        self._check_statements(cards[0], features)
        known = self.router.known_cards.get(cards[0].tasks_hash)
        effects = np.zeros_like(features.weights_MT) if known is None else known.effects(features)
        if before is not None and before.features.texts == features.texts:
            statements_TE = before.statements_TE
        else:
            tokens = self.router.tokenizer.encoder_features(features.texts)
            moved = {name: value.to(self.device) for name, value in tokens.items()}
            statements_TE = self.router.model.encode(moved)
        width = statements_TE.shape[1]
        difficulty = np.zeros(width, dtype=np.float32) if known is None else known.difficulty_E
        zoo = _ReadZoo(
            cards,
            features,
            statements_TE,
            torch.from_numpy(_whole_tiles(with_neutral_card(features.weights_MT))).to(self.device),
            torch.from_numpy(_whole_tiles(with_neutral_card(effects))).to(self.device),
            torch.from_numpy(difficulty).to(self.device),
            features.mean_evidence_M,
        )
        self._zoo = zoo
        return zoo

    def _check_statements(self, card: Card, features: CardFeatures) -> None:
        """Statements are read by the encoder: a card may not bring words of its own."""
        for tasks in self.router.task_sets:
            expected = {statement_text(task) for task in tasks.tasks}
            if tasks.tasks_hash == card.tasks_hash and set(features.texts) != expected:
                raise ArtifactError(
                    f"cards to score: card of {card.candidate!r} makes other statements than its "
                    f"task set {card.tasks_hash} has tasks; write it again with `modelsat profile`"
                )


@dataclass(frozen=True)
class _ReadZoo:
    """Cards as the network reads them, after the neutral card, padded to whole tiles."""

    cards: tuple[Card, ...]
    features: CardFeatures
    statements_TE: Tensor
    weights_MT: Tensor
    effects_MT: Tensor
    difficulty_E: Tensor
    mean_evidence_M: Floats


def _whole_tiles(rows_MT: Floats) -> Floats:
    """Rows and repetitions of the last one, to a multiple of ``_TILE_ROWS``.

    A processor makes products of 4 rows at a time and of those left over by other instructions:
    the last bit of a score would change when another candidate joins.
    """
    return np.pad(rows_MT, ((0, -len(rows_MT) % _TILE_ROWS), (0, 0)), mode="edge")


def _share(card: Card, t: int, relevance: float, contribution: float) -> StatementShare:
    statement = card.statements[t]
    return StatementShare(
        statement.task,
        float(relevance),
        statement.accuracy_fraction,
        statement.num_shots,
        float(contribution),
    )
