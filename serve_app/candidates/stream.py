"""A candidate's stream as whole, rewritten events, from any transport."""

import asyncio
from contextlib import suppress
from typing import Protocol, Self

from serve_app.candidates.rewriting import Rewriter, UpstreamError
from serve_app.candidates.sse import COMMENT, DONE, Event, EventDecoder, EventTooLong
from serve_app.contracts.answers import CandidateFailure

_MAX_EVENT_BYTES = 8 * 2**20  # images and audio travel inside events
_LAST = b"data: " + DONE + b"\n\n"
# The end of a body follows `[DONE]` at once; having seen it, the connection can be used again.
_END_OF_BODY_WAIT_S = 0.1


class Source(Protocol):
    """The source of a stream's bytes."""

    async def read(self) -> bytes:
        """Return the next bytes; empty when the stream has ended properly.

        Raises:
            CandidateFailure: it broke off.
        """

    async def close(self) -> None:
        """Release it; cancels the request on the candidate unless the stream has ended."""


class EventParts:
    """Parts of an answer that are whole events.

    The parts end with ``[DONE]``. If the candidate closes properly without it, it is added when
    every choice has its ``finish_reason``: the answer is complete then. Otherwise the answer is cut
    short, which is a failure. Nothing after ``[DONE]`` is relayed. Comments are relayed without
    their text, to keep the client's connection alive.
    """

    def __init__(self, source: Source, rewriter: Rewriter) -> None:
        self._source = source
        self._rewriter = rewriter
        self._decoder = EventDecoder(_MAX_EVENT_BYTES)
        self._ready = b""
        self._is_done = False
        self._is_closed = False
        self._failure: CandidateFailure | UpstreamError | None = None

    async def begin(self) -> None:
        """Read until the first chunk, which becomes the first part.

        Raises:
            CandidateFailure: the stream broke off, or holds no chunk.
            UpstreamError: it starts with an error.
        """
        while not (self._ready or self._failure):
            await self._advance()
        if not self._ready and self._failure is not None:
            raise self._failure

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._ready:
            if self._is_closed:
                raise StopAsyncIteration
            if self._failure is not None:
                await self.aclose()
                raise self._failure
            if self._is_done:
                await self._finish()
                raise StopAsyncIteration
            await self._advance()
        part, self._ready = self._ready, b""
        return part

    async def aclose(self) -> None:
        """Cancel the stream on the candidate unless it has ended."""
        self._ready = b""
        if not self._is_closed:
            self._is_closed = True
            await self._source.close()

    async def _advance(self) -> None:
        """Read once; the result is in ``_ready``, ``_failure`` and ``_is_done``."""
        try:
            piece = await self._source.read()
            events = self._decoder.feed(piece) if piece else self._decoder.finish()
        except CandidateFailure as failure:
            self._failure = failure
            return
        except EventTooLong:
            self._failure = CandidateFailure("garbage")
            return
        parts = []
        try:
            for event in events:
                parts.append(self._rewritten(event))
                if self._is_done:
                    break
            if not piece and not self._is_done:
                self._end_without_done(parts)
        except (CandidateFailure, UpstreamError) as failure:
            self._failure = failure
        self._ready = b"".join(parts)

    def _rewritten(self, event: Event) -> bytes:
        if event.data is None:
            return COMMENT if self._rewriter.has_begun else b""
        if event.data.strip() == DONE:
            if not self._rewriter.has_begun:
                raise CandidateFailure("garbage")
            self._is_done = True
            return _LAST
        if event.name == b"error":
            raise UpstreamError(500, event.data)
        # Line feeds between JSON's tokens would end the line that holds it.
        return b"data: " + self._rewriter.chunk(event.data.replace(b"\n", b" ")) + b"\n\n"

    def _end_without_done(self, parts: list[bytes]) -> None:
        if not self._rewriter.is_finished:
            raise CandidateFailure("garbage")
        self._is_done = True
        parts.append(_LAST)

    async def _finish(self) -> None:
        try:
            with suppress(CandidateFailure, TimeoutError):
                async with asyncio.timeout(_END_OF_BODY_WAIT_S):
                    while await self._source.read():
                        pass
        finally:
            await self.aclose()
