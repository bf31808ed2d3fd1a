"""Where an ingress replica gets scores: its cache, a call under way, or the scorer."""

import asyncio
import time
from collections.abc import Callable
from hashlib import sha256

from serve_app.config import RoutingOptions
from serve_app.routing.circuit import Circuit
from serve_app.routing.score_cache import ScoreCache
from serve_app.routing.table import Floats, ZooTable
from serve_app.scoring.scores import Explanation, ScorerClient, ScorerFailure, readable_part

SCORER_TIMEOUT = "default_scorer_timeout"
SCORER_FAILED = "default_scorer_failed"
NO_TEXT = "default_no_text"

Clock = Callable[[], float]


class NoScores(Exception):
    """There are no scores for a text; ``reason`` is that of the decision made without."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ScoreSource:
    """Scores of texts, each asked for once at a time.

    After some failures in a row the scorer is asked once per pause only, with the text of a
    request that does not wait for the answer: nobody waits for a scorer that is known to be
    dead, and the first answer makes everybody ask again.

    Attributes:
        num_hits: decisions so far whose scores were remembered.
        num_misses: decisions so far whose scores were not.
    """

    def __init__(
        self, scorer: ScorerClient, options: RoutingOptions, clock: Clock = time.monotonic
    ) -> None:
        """Ask a scorer.

        Args:
            scorer: whom to ask.
            options: its time limit, failures and pause, and the cache's size.
            clock: monotonic seconds.
        """
        self._scorer = scorer
        self._timeout_s = options.scorer_timeout_s
        self._cache = ScoreCache(options.cache_cells)
        self._circuit = Circuit(options.scorer_failures, options.scorer_pause_s, clock)
        self.num_hits = self.num_misses = 0
        self._held_back_reason = SCORER_FAILED
        self._calls: dict[tuple[bytes, int], asyncio.Task[Floats | NoScores]] = {}

    async def scores(self, text: str, table: ZooTable) -> Floats:
        """P(correct), float32 [M] in the table's order; NaN where there is none.

        A caller that leaves does not stop the call: others may wait for it too.

        Raises:
            NoScores: the scorer did not answer in time, or failed, or the text is empty.
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
            waits = not self._circuit.is_open
            if not self._circuit.may_try():
                raise NoScores(self._held_back_reason)
            call = asyncio.create_task(self._ask(text, key, table))
            self._calls[key] = call
            if not waits:
                raise NoScores(self._held_back_reason)
        outcome = await asyncio.shield(call)
        if isinstance(outcome, NoScores):
            raise NoScores(outcome.reason)
        return outcome

    async def explain(self, text: str, table: ZooTable, top_k: int) -> Explanation:
        """Scores and what they rest on; neither cached nor shared.

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
        self._circuit.succeeded()
        aligned = table.align(scores.by_candidate)
        # A scorer that follows the zoo a little earlier or later has read other cards.
        if scores.zoo_version == table.version:
            self._cache.put(key[0], table.version, aligned)
        return aligned

    def _failed(self, reason: str) -> NoScores:
        self._circuit.failed()
        self._held_back_reason = reason
        return NoScores(reason)
