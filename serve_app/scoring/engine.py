"""One replica's router: scores batches of texts against the cards of the followed zoo.

Plain asyncio; the router itself is loaded by a function, so that nothing here needs torch.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from serve_app.registry.state import ZooState
from serve_app.scoring.batching import Batcher
from serve_app.scoring.scores import (
    Explanation,
    Scores,
    StatementNote,
    readable_chars,
    readable_part,
)

if TYPE_CHECKING:
    from modelsat.routing.scoring import Scorer

Result = TypeVar("Result")

# Words of warm-up texts: a short question, an ordinary one, and more than a router reads.
_WARM_UP_WORDS = (8, 100, 1000)
_SHORT_CHARS = 128  # about 30 tokens


@dataclass(frozen=True)
class _Served:
    """What texts are scored by.

    Attributes:
        state: version of the zoo.
        scorer: its router.
        lanes: a thread each. The first one does what all threads of torch share, loading
            included: OpenMP keeps a team of threads for every thread that has computed with
            more than one, and with more of them than cores they sleep between the parts of a
            pass, which then takes 1.5 times as long (45 ms for 30, `lite` on two cores).
        num_passes_before: forward passes that were no request's.
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
        """The result of a function, called in the thread of a lane."""
        return await asyncio.get_running_loop().run_in_executor(self.lanes[lane], work, *arguments)


class ScoringEngine:
    """Scores texts, many at a time, and changes zoo and router between two batches.

    A text that comes alone is scored by all threads. When more wait, each thread takes a batch of
    its own: threads that share a pass wait for one another at each of its operations, and for
    whatever else the system gives a core to meanwhile (docs/experiments.md: 31 to 35 texts a
    second for 26 to 28).
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
        """Start without a zoo; :meth:`follow` gives one.

        Args:
            load: loads a router directory; called in a thread.
            max_batch_size: most texts of one forward pass.
            batch_wait_timeout_s: how long an incomplete batch waits for more.
            even_lengths: whether only texts of like length share a pass. On a CPU a pass costs
                what its tokens cost, padding included; on a GPU it costs about the same for any.
            num_threads: that compute.
            set_num_threads: sets how many compute for the thread that calls it.
            on_pass: told of each pass: number of texts, and seconds it took.
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
        """Score by this version of the zoo from now on; texts are scored by the old meanwhile.

        Cards for a router that is loaded are read in milliseconds. Another router is loaded
        and warmed up beside the old one, which takes the memory of both for that time.

        Raises:
            ArtifactError: router or cards are refused; the old ones stay.
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
        """P(correct) of a text by candidate."""
        return await self._batcher(text)

    async def explain(self, text: str, top_k: int) -> Explanation:
        """P(correct) of a text by candidate, and the card statements that mattered most."""
        served = self._served
        cards = served.state.cards
        if not cards:
            return Explanation(served.state.version, {})
        part = readable_part(text, served.max_tokens)
        told = await served.run(self._explain, served, part, top_k)
        by_name = {card.candidate: one for card, one in zip(cards, told, strict=True)}
        return Explanation(
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
        """Forward passes of the present router's base model for requests."""
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
        self._set_num_threads(1)  # other lanes may be at work
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
    """Whether texts of two lengths may share a pass where padding costs as much as text.

    The longer has at most 1.5 times the characters of the shorter, or both are short.
    """
    shorter, longer = sorted((one_chars, other_chars))
    return longer <= max(_SHORT_CHARS, 1.5 * shorter)


def _end(lanes: Sequence[ThreadPoolExecutor]) -> None:
    """Threads end when they have finished what they have been given."""
    for lane in lanes:
        lane.shutdown(wait=False)


def _read_cards(scorer: "Scorer", state: ZooState) -> None:
    if state.cards:
        scorer.score([], state.cards)
