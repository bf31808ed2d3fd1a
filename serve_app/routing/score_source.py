"""Scores for an ingress replica: from its cache, a pending call, or the scorer."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from serve_app.config import RoutingOptions
from serve_app.contracts.scores import ExplainedScores, ScorerClient, ScorerFailure, readable_part
from serve_app.routing.zoo_table import Floats, ZooTable

SCORER_TIMEOUT = "default_scorer_timeout"
SCORER_FAILED = "default_scorer_failed"
NO_TEXT = "default_no_text"

Clock = Callable[[], float]

# Memory of an entry beside its scores: array header, key, slot of the table. Measured as 300 to
# 400 bytes on CPython 3.11.
_OVERHEAD_CELLS = 100


class NoScores(Exception):
    """There are no scores for a text; ``reason`` is the reason of the decision without scores."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CircuitBreaker:
    """Opens after some failures in a row; then it lets through one call per pause.

    Args:
        failures_to_open: failures in a row that open it.
        pause_s: time between two calls while it is open.
        clock: monotonic seconds.
    """

    def __init__(self, failures_to_open: int, pause_s: float, clock: Callable[[], float]) -> None:
        self._failures_to_open = failures_to_open
        self._pause_s = pause_s
        self._clock = clock
        self._num_failures = 0
        self._next_try_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are rejected."""
        return self._num_failures >= self._failures_to_open

    def may_try(self) -> bool:
        """Whether a call may be made now; while open, True once per pause."""
        if not self.is_open:
            return True
        if self._clock() < self._next_try_s:
            return False
        self._next_try_s = self._clock() + self._pause_s
        return True

    def succeeded(self) -> None:
        """Report a successful call."""
        self._num_failures = 0

    def failed(self) -> None:
        """Report a failed call."""
        self._num_failures += 1
        self._next_try_s = self._clock() + self._pause_s


class ScoreCache:
    """Least-recently-used cache of scores by hash of the text, for one version of the zoo.

    Args:
        max_cells: size limit in cells of 4 bytes: one for each score, 100 for each text.
    """

    def __init__(self, max_cells: int) -> None:
        self._max_cells = max_cells
        self._num_cells = 0
        self._version = 0
        self._scores: OrderedDict[bytes, Floats] = OrderedDict()

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, digest: bytes, version: int) -> Floats | None:
        """Scores of a text at a version of the zoo, float32 [M]; None if they are not cached."""
        if version != self._version:
            return None
        scores = self._scores.get(digest)
        if scores is not None:
            self._scores.move_to_end(digest)
        return scores

    def put(self, digest: bytes, version: int, scores: Floats) -> None:
        """Store scores; drops those of older versions."""
        if version < self._version:
            return
        if version > self._version:
            self._scores.clear()
            self._num_cells, self._version = 0, version
        if digest not in self._scores:
            self._num_cells += len(scores) + _OVERHEAD_CELLS
        self._scores[digest] = scores
        self._scores.move_to_end(digest)
        while self._num_cells > self._max_cells:
            _, oldest = self._scores.popitem(last=False)
            self._num_cells -= len(oldest) + _OVERHEAD_CELLS


class ScoreSource:
    """Scores of texts: from the cache, from a call that is under way, or from the scorer.

    After some failures in a row, the scorer is called once per pause, and the request whose text
    is used does not wait: no request waits for a scorer that is known to be down. The first
    successful call closes the circuit breaker.

    Attributes:
        num_hits: cache hits so far.
        num_misses: cache misses so far.
    """

    def __init__(
        self, scorer: ScorerClient, options: RoutingOptions, clock: Clock = time.monotonic
    ) -> None:
        """Create a source.

        Args:
            scorer: client of the scorer.
            options: time limit, failures and pause of the scorer, size of the cache.
            clock: monotonic seconds.
        """
        self._scorer = scorer
        self._timeout_s = options.scorer_timeout_s
        self._cache = ScoreCache(options.cache_cells)
        self._breaker = CircuitBreaker(options.scorer_failures, options.scorer_pause_s, clock)
        self.num_hits = self.num_misses = 0
        self._last_failure = SCORER_FAILED
        self._calls: dict[tuple[bytes, int], asyncio.Task[Floats | NoScores]] = {}

    async def scores(self, text: str, table: ZooTable) -> Floats:
        """P(correct), float32 [M] in the table's order; NaN if there is none.

        A cancelled caller does not cancel the call: others may wait for it too.

        Raises:
            NoScores: the scorer timed out or failed, or the text is empty.
        """
        if not text:
            raise NoScores(NO_TEXT)
        text = readable_part(text, table.max_scored_tokens)
        digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
        remembered = self._cache.get(digest, table.version)
        if remembered is not None:
            self.num_hits += 1
            return remembered
        self.num_misses += 1
        key = (digest, table.version)
        call = self._calls.get(key)
        if call is None:
            waits = not self._breaker.is_open
            if not self._breaker.may_try():
                raise NoScores(self._last_failure)
            call = asyncio.create_task(self._ask(text, key, table))
            self._calls[key] = call
            if not waits:
                raise NoScores(self._last_failure)
        outcome = await asyncio.shield(call)
        if isinstance(outcome, NoScores):
            raise NoScores(outcome.reason)
        return outcome

    async def explain(self, text: str, table: ZooTable, top_k: int) -> ExplainedScores:
        """Scores and the statements behind them; neither cached nor shared.

        Raises:
            NoScores: as :meth:`scores`.
        """
        if not text:
            raise NoScores(NO_TEXT)
        try:
            async with asyncio.timeout(self._timeout_s):
                part = readable_part(text, table.max_scored_tokens)
                return await self._scorer.explain(part, top_k)
        except TimeoutError:
            raise NoScores(SCORER_TIMEOUT) from None
        except ScorerFailure:
            raise NoScores(SCORER_FAILED) from None

    async def _ask(self, text: str, key: tuple[bytes, int], table: ZooTable) -> Floats | NoScores:
        try:
            async with asyncio.timeout(self._timeout_s):
                scores = await self._scorer.score(text)
        except TimeoutError:
            return self._failed(SCORER_TIMEOUT)
        except ScorerFailure:
            return self._failed(SCORER_FAILED)
        finally:
            del self._calls[key]
        self._breaker.succeeded()
        aligned = table.align(scores.by_candidate)
        # A scorer replica that is at another version of the zoo has read other cards.
        if scores.zoo_version == table.version:
            self._cache.put(key[0], table.version, aligned)
        return aligned

    def _failed(self, reason: str) -> NoScores:
        self._breaker.failed()
        self._last_failure = reason
        return NoScores(reason)
