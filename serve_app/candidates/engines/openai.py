"""Candidates behind OpenAI-compatible URLs.

A request carries the client's JSON with ``model`` replaced, and the headers of
``serve_app.contracts.headers.CANDIDATE_REQUEST_HEADERS``. No other header of the client is
forwarded. Proxies of the environment are ignored, redirections are not followed, cookies are
neither stored nor sent.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from modelsat.zoo.candidate import Candidate, Endpoint
from modelsat.zoo.engines.openai import OpenAICandidate
from serve_app.candidates.engines.protocol import EngineClient, ServingEngine
from serve_app.candidates.refusals import failure_of, refusal
from serve_app.candidates.rewriting import Rewriter, UpstreamError
from serve_app.candidates.stream import EventParts
from serve_app.contracts.answers import Answer, CandidateFailure, Document
from serve_app.contracts.headers import AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER
from serve_app.contracts.trace_context import CURRENT_TRACE

_PATHS: dict[Endpoint, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
}
_MAX_ANSWER_BYTES = 64 * 2**20
_MAX_ERROR_BYTES = 2**20


class Engine(ServingEngine):
    """The URL of one candidate.

    Args:
        candidate: its URL, model name and key.
    """

    def __init__(self, candidate: OpenAICandidate) -> None:
        self._candidate = candidate

    def open_client(self, pool: aiohttp.ClientSession) -> "UrlClient":
        """Return a client of the URL.

        Raises:
            ZooError: the candidate's key is missing.
        """
        return UrlClient(self._candidate, pool)

    def can_become(self, changed: Candidate) -> bool:
        """Return whether the changed entry is a URL too; nothing has to restart."""
        return isinstance(changed, OpenAICandidate)


class UrlClient(EngineClient):
    """Sends requests to the URL of one candidate."""

    is_available = True  # the provider starts replicas as it needs them

    def __init__(self, candidate: OpenAICandidate, session: aiohttp.ClientSession) -> None:
        """Take the candidate and the connection pool; the key is read now.

        Raises:
            ZooError: the key is missing.
        """
        self._name, self._model = candidate.name, candidate.model
        self._session = session
        self._urls = {
            endpoint: URL(candidate.base_url + path, encoded=True)
            for endpoint, path in _PATHS.items()
        }
        self._key = candidate.read_api_key()
        self._headers = {CONTENT_TYPE: "application/json"}
        if self._key is not None:
            self._headers[AUTHORIZATION] = f"Bearer {self._key}"

    async def open(
        self, endpoint: Endpoint, body: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Send a request and wait for the first part of the response; see `CandidateClient`."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._open(endpoint, body)
        except aiohttp.ServerTimeoutError:  # no connection within the pool's limit
            raise CandidateFailure("unreachable") from None
        except TimeoutError:
            raise CandidateFailure("timeout") from None
        except aiohttp.ClientResponseError:  # the response is not HTTP
            raise CandidateFailure("garbage") from None
        except (aiohttp.ClientError, OSError):
            raise CandidateFailure("unreachable") from None

    async def _open(self, endpoint: Endpoint, body: Mapping[str, Any]) -> Answer:
        trace = CURRENT_TRACE.get()
        response = await self._session.post(
            self._urls[endpoint],
            data=msgspec.json.encode({**body, "model": self._model}),
            headers=self._headers if trace is None else {**self._headers, **trace.headers()},
            allow_redirects=False,
        )
        try:
            if response.status != 200:
                return await self._refused(response, response.status, body)
            try:
                return await self._answered(response, endpoint, body)
            except UpstreamError as error:
                response.close()
                return self._refusal(error.status, error.content, body)
        except BaseException:
            response.close()
            raise

    async def _refused(
        self, response: aiohttp.ClientResponse, status: int, body: Mapping[str, Any]
    ) -> Answer:
        failure = failure_of(status, response.headers.get(RETRY_AFTER))
        if failure is not None:
            raise failure
        content = await _read_whole(response, _MAX_ERROR_BYTES)
        return self._refusal(status, content, body)

    def _refusal(self, status: int, content: bytes, body: Mapping[str, Any]) -> Answer:
        failure = failure_of(status)
        if failure is not None:
            raise failure
        return refusal(self._name, status, content, body, self._key)

    async def _answered(
        self, response: aiohttp.ClientResponse, endpoint: Endpoint, body: Mapping[str, Any]
    ) -> Answer:
        rewriter = Rewriter(self._name, endpoint)
        if body.get("stream") is True:
            parts = EventParts(_ResponseSource(response), rewriter)
            await parts.begin()
            return Answer(200, parts, rewriter.facts, self._key)
        content = await _read_whole(response, _MAX_ANSWER_BYTES)
        return Answer(200, Document(rewriter.document(content)), rewriter.facts)


class _ResponseSource:
    """The body of an HTTP response."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError):
            raise CandidateFailure("unreachable") from None

    async def close(self) -> None:
        self._response.close()  # a body read to its end has released its connection already


async def _read_whole(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body of a response.

    Raises:
        CandidateFailure: it is longer than allowed: ``garbage``.
    """
    pieces, size = [], 0
    while piece := await response.content.readany():
        size += len(piece)
        if size > max_bytes:
            raise CandidateFailure("garbage")
        pieces.append(piece)
    return b"".join(pieces)
