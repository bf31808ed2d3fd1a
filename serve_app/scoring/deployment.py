"""The scorer: holds the router and the cards, and scores the prompts of many requests at once."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ray import serve

from modelsat.capability.cards import read_cards, select_cards
from modelsat.zoo import load_zoo

if TYPE_CHECKING:
    pass

_WARM_UP_PROMPT = "Which of these is correct?"


class ScorerDeployment:
    """Serve deployment that answers one prompt with P(correct) of every candidate."""

    def __init__(
        self, router: str, cards: str, zoo: str, max_batch_size: int, batch_wait_timeout_s: float
    ) -> None:
        """Load router and cards and score once, so that a broken one fails the start.

        Args:
            router: router directory.
            cards: cards artifact.
            zoo: zoo file; its candidates are scored, in its order.
            max_batch_size: most prompts of one forward pass.
            batch_wait_timeout_s: how long a batch waits to fill up.
        """
        # Here because whoever deploys this class imports the module and needs no torch.
        from modelsat.routing.scoring import Scorer

        self._names = load_zoo(zoo).names
        self._scorer: Scorer = Scorer.load(Path(router))
        self._cards = select_cards(read_cards(cards, self._scorer.tasks_hashes), self._names)
        self._scorer.score([_WARM_UP_PROMPT] * max_batch_size, self._cards)
        self._num_warm_up_passes = self._scorer.num_forward_passes
        self.score.set_max_batch_size(max_batch_size)
        self.score.set_batch_wait_timeout_s(batch_wait_timeout_s)

    @serve.batch
    async def score(self, prompts: list[str]) -> list[dict[str, float]]:
        """P(correct) by candidate, for one prompt per caller; Serve forms the list."""
        # In a thread, so that the next batch forms meanwhile.
        scores = await asyncio.to_thread(self._scorer.score, prompts, self._cards)
        return [dict(zip(self._names, map(float, row), strict=True)) for row in scores]

    async def num_forward_passes(self) -> int:
        """Forward passes of the router's base model for requests, warm-up not counted."""
        return self._scorer.num_forward_passes - self._num_warm_up_passes
