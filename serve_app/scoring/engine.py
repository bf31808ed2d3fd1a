"""The router of one replica: scores batches of texts against the cards of the zoo.

Plain asyncio; a function loads the router, so this module needs no torch.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from serve_app.contracts.scores import (
    ExplainedScores,
    Scores,
    StatementNote,
    readable_chars,
    readable_part,
)
from serve_app.contracts.zoo_state import ZooState
from serve_app.scoring.batching import Batcher

if TYPE_CHECKING:
    from modelsat.routing.scoring import Scorer

Result = TypeVar("Result")

# Words of warm-up texts: a short question, an ordinary one, and more than the router reads.
_WARM_UP_WORDS = (8, 100, 1000)
_SHORT_CHARS = 128  # about 30 tokens


@dataclass(frozen=True)
class _Served:
    """The router and cards that score texts.

    Attributes:
        state: version of the zoo.
        scorer: its router.
        lanes: one thread each. The first one also does the work that all threads of torch
            share, such as loading: OpenMP keeps a team of threads for every thread that has
            computed with more than one. With more of them than cores, they sleep between the
            parts of a pass, which then takes 1.5 times as long (45 ms for 30, `lite` on two
            cores).
        num_passes_before: forward passes of the warm-up.
    """

    state: ZooState
    scorer: "Scorer"
    lanes: tuple[ThreadPoolExecutor, ...]
    num_passes_before: int

    @property
    def max_tokens(self) -> int:
        config = self.scorer.router.config
        return max(config.max_instruction_tokens, config.max_encoder_tokens)

    async def run(self, work: Callable[..., Result], *arguments: Any, lane: int = 0) -> Result:
        """Call a function in the thread of a lane and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self.lanes[lane], work, *arguments)


class ScoringEngine:
    """Scores texts in batches, and changes zoo and router between two batches.

    A single text is scored by all threads. If more wait, each thread scores its own batch: threads
    that share a pass wait for each other at every operation, and for whatever else runs on their
    cores (docs/experiments.md: 31 to 35 texts per second instead of 26 to 28).
    """

    def __init__(
        self,
        load: Callable[[str], "Scorer"],
        max_batch_size: int,
        batch_wait_timeout_s: float = 0,
        *,
        even_lengths: bool = True,
        num_threads: int = 1,
        set_num_threads: Callable[[int], None] = lambda _number: None,
        on_pass: Callable[[int, float], None] | None = None,
    ) -> None:
        """Create an engine without a zoo; :meth:`follow` sets the zoo.

        Args:
            load: loads a router directory; called in a thread.
            max_batch_size: most texts of one forward pass.
            batch_wait_timeout_s: how long an incomplete batch waits for more.
            even_lengths: whether only texts of similar length share a pass. On a CPU a pass costs
                what its tokens cost, padding included; on a GPU it costs about the same for any.
            num_threads: threads that compute.
            set_num_threads: sets the number of compute threads of the calling thread.
            on_pass: called after each pass with the number of texts and the seconds it took.
        """
        self._load = load
        self._on_pass = on_pass
        self._max_batch_size = max_batch_size
        self._batcher = Batcher(
            self._score_batch,
            max_batch_size,
            batch_wait_timeout_s,
            goes_with=self._goes_with if even_lengths else None,
            num_lanes=num_threads,
        )
        self._num_threads = num_threads
        self._set_num_threads = set_num_threads
        self._current: _Served | None = None

    async def follow(self, state: ZooState) -> None:
        """Switch to a version of the zoo; the old version scores texts meanwhile.

        New cards take milliseconds. A new router is loaded and warmed up beside the old one, which
        takes the memory of both for that time.

        Raises:
            ArtifactError: router or cards are refused; the old version stays.
        """
        served = self._current
        if served is not None and served.state.router == state.router:
            await served.run(_read_cards, served.scorer, state)
            self._current = replace(served, state=state)
            return
        lanes = tuple(
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="forward")
            for _ in range(self._num_threads)
        )
        try:
            self._current = await asyncio.get_running_loop().run_in_executor(
                lanes[0], self._load_and_warm_up, state, lanes
            )
        except BaseException:
            _end(lanes)
            raise
        if served is not None:
            _end(served.lanes)

    async def score(self, text: str) -> Scores:
        """Return P(correct) of a text by candidate."""
        return await self._batcher(text)

    async def explain(self, text: str, top_k: int) -> ExplainedScores:
        """Return P(correct) by candidate, and the most relevant card statements."""
        served = self._served
        cards = served.state.cards
        if not cards:
            return ExplainedScores(served.state.version, {})
        part = readable_part(text, served.max_tokens)
        explained = await served.run(self._explain, served, part, top_k)
        by_name = {card.candidate: one for card, one in zip(cards, explained, strict=True)}
        return ExplainedScores(
            served.state.version,
            {name: one.p_correct for name, one in by_name.items()},
            {
                name: tuple(
                    StatementNote(s.task, s.relevance_fraction, s.accuracy_fraction, s.num_shots)
                    for s in one.statements
                )
                for name, one in by_name.items()
            },
        )

    @property
    def num_forward_passes(self) -> int:
        """Forward passes of the base model of the current router, without warm-up."""
        served = self._served
        return served.scorer.num_forward_passes - served.num_passes_before

    @property
    def _served(self) -> _Served:
        if self._current is None:
            raise RuntimeError("the scorer follows no zoo yet")
        return self._current

    async def _score_batch(self, texts: Sequence[str], lane: int | None) -> list[Scores]:
        served = self._served
        names = [card.candidate for card in served.state.cards]
        if not names:
            return [Scores(served.state.version, {}) for _ in texts]
        parts = [readable_part(text, served.max_tokens) for text in texts]
        started_s = time.monotonic()
        scores_BM = await served.run(self._compute, served, parts, lane, lane=lane or 0)
        if self._on_pass is not None:
            self._on_pass(len(parts), time.monotonic() - started_s)
        return [
            Scores(served.state.version, dict(zip(names, row, strict=True)))
            for row in scores_BM.tolist()
        ]

    def _compute(self, served: _Served, parts: Sequence[str], lane: int | None) -> Any:
        self._set_num_threads(self._num_threads if lane is None else 1)
        return served.scorer.score(parts, served.state.cards)

    def _explain(self, served: _Served, part: str, top_k: int) -> Any:
        self._set_num_threads(1)  # other lanes may be busy
        return served.scorer.explain(part, served.state.cards, top_k)

    def _goes_with(self, one: str, other: str) -> bool:
        limit = readable_chars(self._served.max_tokens)
        return padded_little(min(len(one), limit), min(len(other), limit))

    def _load_and_warm_up(self, state: ZooState, lanes: tuple[ThreadPoolExecutor, ...]) -> _Served:
        self._set_num_threads(self._num_threads)
        scorer = self._load(state.router)
        if state.cards:
            for num_words in _WARM_UP_WORDS:
                text = " ".join(["question"] * num_words)
                for size in sorted({1, self._max_batch_size}):
                    scorer.score([text] * size, state.cards)
        return _Served(state, scorer, lanes, scorer.num_forward_passes)


def padded_little(one_chars: int, other_chars: int) -> bool:
    """Whether texts of two lengths may share a pass if padding costs as much as text.

    The longer has at most 1.5 times the characters of the shorter, or both are short.
    """
    shorter, longer = sorted((one_chars, other_chars))
    return longer <= max(_SHORT_CHARS, 1.5 * shorter)


def _end(lanes: Sequence[ThreadPoolExecutor]) -> None:
    """Let the threads end when they have finished their work."""
    for lane in lanes:
        lane.shutdown(wait=False)


def _read_cards(scorer: "Scorer", state: ZooState) -> None:
    if state.cards:
        scorer.score([], state.cards)
