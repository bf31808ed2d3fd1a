"""Score instructions against cards with a loaded router, and explain the scores.

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

from modelsat.capability.cards import Card, Statement, check_same_tasks
from modelsat.errors import ArtifactError
from modelsat.modeling.card_features import (
    CardFeatures,
    card_features,
    statement_text,
    with_neutral_card,
)
from modelsat.modeling.checkpoint import Router, load_router
from modelsat.processor import DType, native_dtype
from modelsat.progress import Progress

Floats = npt.NDArray[np.float32]

DTypeSetting = DType | Literal["auto"]
_TILE_ROWS = 4


@dataclass(frozen=True)
class StatementShare:
    """The contribution of a card's statement to a score.

    Attributes:
        task: core task of the statement.
        relevance_fraction: relevance of the task to the instruction, 0..1; sums to 1 over all
            statements of a card.
        accuracy_fraction: share of the candidate's answers that were correct, 0..1.
        num_shots: number of graded answers.
        contribution: relevance times evidence, in log-odds; positive values favour the candidate.
            Summed over all statements of a card it is the card's level on relevant statements,
            from which the score starts (docs/decisions/0009).
    """

    task: str
    relevance_fraction: float
    accuracy_fraction: float
    num_shots: int
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """The score of a card and its most relevant statements.

    Attributes:
        p_correct: calibrated P(correct), 0..1.
        statements: the most relevant first.
    """

    p_correct: float
    statements: tuple[StatementShare, ...]


class Scorer:
    """A router prepared for scoring; caches the features of the cards.

    Attributes:
        tasks_hashes: hashes of the aptitude tests whose cards it accepts.
        num_forward_passes: number of forward passes of the base model so far.
    """

    def __init__(
        self,
        router: Router,
        device: str = "cpu",
        *,
        dtype: DTypeSetting = "auto",
        also_reads: Collection[str] = (),
    ) -> None:
        """Prepare a loaded router for scoring; modifies it and moves it to the device.

        Args:
            router: the router.
            device: PyTorch device name.
            dtype: dtype of base model and encoder. ``bfloat16`` halves the time of a decision on
                CPUs with native support, and changes P(correct) by a few thousandths
                (docs/experiments.md); ``auto`` is the processor's native dtype
                (:func:`modelsat.processor.native_dtype`).
            also_reads: hashes of aptitude tests that the router was not trained on, whose cards
                are also accepted. Their questions may be harder or easier, which shifts the
                probabilities.
        """
        self.router = router
        self.tasks_hashes = (*router.tasks_hashes, *also_reads)
        self.device = torch.device(device)
        self.num_forward_passes = 0
        self._zoo: _ZooFeatures | None = None
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
        """Return calibrated P(correct), float32 [num_instructions, num_cards].

        Raises:
            ArtifactError: a card comes from a task set that the router was not trained on, or its
                statements do not match its task set.
            ZooError: the list of cards is empty.
        """
        return self.router.calibration.probabilities(self.log_odds(instructions, cards))

    def explain(
        self, instruction: str, cards: Sequence[Card], top_k: int
    ) -> tuple[Explanation, ...]:
        """Explain the scores of :meth:`score` in the same forward pass.

        Relevance depends only on the instruction, so all cards are explained by the same
        statements. Cards are arguments, so callers may edit a card to see how its score changes.

        Args:
            instruction: a single instruction.
            cards: as for :meth:`score`.
            top_k: maximum number of statements per card.

        Returns:
            An explanation for each card, in order.
        """
        zoo = self._zoo_features(tuple(cards))
        log_odds_BM, relevance_BT = self._forward([instruction], zoo)
        p_correct_M = self.router.calibration.probabilities(log_odds_BM)[0]
        relevance_T = relevance_BT[0]
        top = np.argsort(-relevance_T, kind="stable")[:top_k]
        contribution_MK = relevance_T[top] * zoo.features.weights_MT[:, top]
        tasks = zoo.features.tasks
        by_task = [{one.task: one for one in card.statements} for card in zoo.cards]
        return tuple(
            Explanation(
                float(p_correct),
                tuple(
                    _share(statements[tasks[t]], relevance_T[t], contribution)
                    for t, contribution in zip(top, contribution_K, strict=True)
                    if tasks[t] in statements
                ),
            )
            for statements, p_correct, contribution_K in zip(
                by_task, p_correct_M, contribution_MK, strict=True
            )
        )

    def log_odds(self, instructions: Sequence[str], cards: Sequence[Card]) -> Floats:
        """Return uncalibrated log-odds of "Yes", float32 [num_instructions, num_cards]."""
        zoo = self._zoo_features(tuple(cards))
        if not instructions:
            return np.zeros((0, len(cards)), dtype=np.float32)
        return self._forward(instructions, zoo)[0]

    def log_odds_in_batches(
        self, instructions: Sequence[str], cards: Sequence[Card], batch_size: int = 64
    ) -> Floats:
        """Return log-odds of many instructions, batched by similar length to save padding."""
        result = np.zeros((len(instructions), len(cards)), dtype=np.float32)
        order = sorted(range(len(instructions)), key=lambda i: len(instructions[i]))
        with Progress("score", len(order), "instructions") as progress:
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                result[rows] = self.log_odds([instructions[i] for i in rows], cards)
                progress.advance(len(rows))
        return result

    @torch.inference_mode()
    def _forward(self, instructions: Sequence[str], zoo: "_ZooFeatures") -> tuple[Floats, Floats]:
        """Return log-odds [B, M] and relevance of the statements [B, T] from a single pass."""
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
    def _zoo_features(self, cards: tuple[Card, ...]) -> "_ZooFeatures":
        """Compute the network's inputs for the cards, and cache them until the cards change.

        Statements are embedded again only if their text changes, which a change of the zoo does
        not cause; the rest takes about 20 ms for 1,000 cards.
        """
        cached = self._zoo
        if cached is not None and cached.cards == cards:
            return cached
        check_same_tasks(cards, self.tasks_hashes, source="cards to score")
        features = card_features(cards)
        self._check_statements(cards[0], features)
        known = self.router.known_cards.get(cards[0].tasks_hash)
        effects = np.zeros_like(features.weights_MT) if known is None else known.effects(features)
        if cached is not None and cached.features.texts == features.texts:
            statements_TE = cached.statements_TE
        else:
            tokens = self.router.tokenizer.encoder_features(features.texts)
            on_device = {name: value.to(self.device) for name, value in tokens.items()}
            statements_TE = self.router.model.encode(on_device)
        width = statements_TE.shape[1]
        difficulty = np.zeros(width, dtype=np.float32) if known is None else known.difficulty_E
        zoo = _ZooFeatures(
            cards,
            features,
            statements_TE,
            torch.from_numpy(_whole_tiles(with_neutral_card(features.weights_MT))).to(self.device),
            torch.from_numpy(_whole_tiles(with_neutral_card(effects))).to(self.device),
            torch.from_numpy(difficulty).to(self.device),
            features.mean_evidence_M,  # computed at each access: 0.4 ms for 1,000 cards
        )
        self._zoo = zoo
        return zoo

    def _check_statements(self, card: Card, features: CardFeatures) -> None:
        """Reject cards with text that is not from their task set, since the encoder reads it."""
        for tasks in self.router.task_sets:
            expected = {statement_text(task) for task in tasks.tasks}
            if tasks.tasks_hash == card.tasks_hash and not expected.issuperset(features.texts):
                raise ArtifactError(
                    f"cards to score: statements of {card.candidate!r} do not match the tasks of "
                    f"its task set {card.tasks_hash}; profile the candidate again"
                )


@dataclass(frozen=True)
class _ZooFeatures:
    """The network's inputs for cards, with the neutral card first and padded to whole tiles."""

    cards: tuple[Card, ...]
    features: CardFeatures
    statements_TE: Tensor
    weights_MT: Tensor
    effects_MT: Tensor
    difficulty_E: Tensor
    mean_evidence_M: Floats


def _whole_tiles(rows_MT: Floats) -> Floats:
    """Pad rows to a multiple of ``_TILE_ROWS`` by repeating the last row.

    Matrix kernels process 4 rows at a time and the remainder with other instructions: without
    padding, the last bit of a score would change when a candidate is added.
    """
    return np.pad(rows_MT, ((0, -len(rows_MT) % _TILE_ROWS), (0, 0)), mode="edge")


def _share(statement: Statement, relevance: float, contribution: float) -> StatementShare:
    return StatementShare(
        statement.task,
        float(relevance),
        statement.accuracy_fraction,
        statement.num_shots,
        float(contribution),
    )
