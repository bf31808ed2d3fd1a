"""Clients of candidates on this cluster; each candidate is a Serve application of its own."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
)
from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator

from modelsat.zoo.candidate import Endpoint
from serve_app.candidates.refusals import failure_of, refusal
from serve_app.candidates.rewriting import Rewriter, UpstreamError
from serve_app.candidates.stream import EventParts
from serve_app.contracts.answers import Answer, CandidateFailure, Document, FailureKind


class LocalClient:
    """Sends requests to the application of one candidate.

    Args:
        candidate: name of the candidate.
        application: name of its application, which need not run yet.
        engine_name: name of the model that the application serves.
        scales_to_zero: whether a request starts a replica if there is none.
    """

    def __init__(
        self, candidate: str, application: str, *, engine_name: str, scales_to_zero: bool = False
    ) -> None:
        self._name = candidate
        self._engine_name = engine_name
        self._application = application
        self._scales_to_zero = scales_to_zero
        self._num_replicas: int | None = None
        self._handle: DeploymentHandle | None = None
        self._waiting: set[asyncio.Timeout] = set()

    async def open(
        self, endpoint: Endpoint, body: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Send a request and wait for the first part of the answer; see `CandidateClient`.

        The wait includes the start of a replica if the application was scaled to zero.
        """
        limit = asyncio.timeout(timeout_s)
        self._waiting.add(limit)
        try:
            async with limit:
                return await self._open(endpoint, body)
        except TimeoutError:
            kind: FailureKind = "timeout" if limit in self._waiting else "unreachable"
            raise CandidateFailure(kind) from None
        finally:
            self._waiting.discard(limit)

    @property
    def is_available(self) -> bool:
        """Whether there is a replica, or a request would start one.

        A candidate that does not scale to zero and has no replica is starting, or has lost its
        last one: how long the next one takes is unknown.
        """
        return self._num_replicas != 0 or self._scales_to_zero

    def count_replicas(self, num_replicas: int | None) -> None:
        """Note the number of running replicas.

        When none is left, requests that wait for the first part of an answer fail now, so that
        other candidates are tried: Ray would let them wait for the next replica.
        """
        self._num_replicas = num_replicas
        if self.is_available:
            return
        for limit in [limit for limit in self._waiting if not limit.expired()]:
            self._waiting.discard(limit)
            limit.reschedule(0)

    async def _open(self, endpoint: Endpoint, body: Mapping[str, Any]) -> Answer:
        while True:
            was_known = self._handle is not None
            try:
                return await self._send(await self._running(), endpoint, body)
            except CandidateFailure as failure:
                if failure.kind == "unreachable":
                    # The deployment is gone; the application may have a new one by now.
                    self._handle = None
                    if was_known:
                        continue
                raise

    async def _send(
        self, handle: DeploymentHandle, endpoint: Endpoint, body: Mapping[str, Any]
    ) -> Answer:
        renamed = {**body, "model": self._engine_name}
        source = _ReplicaSource(handle.answer.remote(endpoint, renamed))
        try:
            status = int(await source.read() or 502)
            return await self._answered(status, source, endpoint, body)
        except BaseException:
            await source.close()
            raise

    async def _answered(
        self, status: int, source: "_ReplicaSource", endpoint: Endpoint, body: Mapping[str, Any]
    ) -> Answer:
        rewriter = Rewriter(self._name, endpoint)
        try:
            if status == 200 and body.get("stream") is True:
                parts = EventParts(source, rewriter)
                await parts.begin()
                return Answer(200, parts, rewriter.facts)
            content = await source.read_all()
            if status == 200:
                return Answer(200, Document(rewriter.document(content)), rewriter.facts)
        except UpstreamError as error:
            await source.close()
            status, content = error.status, error.content
        failure = failure_of(status)
        if failure is not None:
            raise failure
        return refusal(self._name, status, content, body)

    async def _running(self) -> DeploymentHandle:
        if self._handle is None:
            try:
                # Asks the Serve controller and blocks until it answers.
                handle = await asyncio.to_thread(serve.get_app_handle, self._application)
            except (RayError, RayServeException):
                raise CandidateFailure("unreachable") from None
            self._handle = handle.options(stream=True)
        return self._handle


class _ReplicaSource:
    """The parts that a replica yields."""

    def __init__(self, response: DeploymentResponseGenerator) -> None:
        self._response = response
        self._has_ended = False

    async def read(self) -> bytes:
        try:
            part: str = await anext(self._response)
        except StopAsyncIteration:
            self._has_ended = True
            return b""
        except BackPressureError:
            self._has_ended = True
            raise CandidateFailure("overloaded") from None
        except DeploymentUnavailableError:
            self._has_ended = True
            raise CandidateFailure("unreachable") from None
        except (RayError, RayServeException):
            self._has_ended = True
            raise CandidateFailure("server_error") from None
        return part.encode()

    async def read_all(self) -> bytes:
        pieces = []
        while piece := await self.read():
            pieces.append(piece)
        return b"".join(pieces)

    async def close(self) -> None:
        if not self._has_ended:
            self._response.cancel()
