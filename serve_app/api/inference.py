"""Inference requests: from a parsed request to the reply of a candidate."""

import hashlib
import re
import time
from collections.abc import Mapping
from contextlib import aclosing

import msgspec
from fastapi import Request
from fastapi.responses import Response

from modelsat.routing.admission import matching
from modelsat.routing.constraints import Constraints
from modelsat.zoo.candidate import Candidate, Endpoint
from serve_app.api.connection import Receive, Scope, Send
from serve_app.api.key_file import ApiKey
from serve_app.api.middleware import EXCHANGE, Exchange
from serve_app.api.requests import PARSERS, all_text, parse_route, text_to_route
from serve_app.api.services import Services
from serve_app.config import ServeConfig
from serve_app.contracts import headers as named
from serve_app.contracts.answers import Answer, Attempt, Dispatched, DispatchError
from serve_app.contracts.errors import ApiError, model_not_found
from serve_app.contracts.parsed_request import ParsedRequest
from serve_app.contracts.request_record import RequestRecord
from serve_app.contracts.routing import Ranking, Requirements, RouteRequest
from serve_app.contracts.zoo_state import ZooState

PINNED = "pinned"  # the reason if the client named the model
_MAX_HEADER_CHARS = 200


class Inference:
    """Answers ``/v1/chat/completions``, ``/v1/completions``, ``/v1/embeddings``, ``/v1/route``."""

    def __init__(self, services: Services, config: ServeConfig) -> None:
        """Serve inference over the parts of an ingress replica."""
        self._services = services
        self._routing = config.routing
        self._profiles = config.routing.profiles
        self._keeps_text = config.observability.routing_log.with_prompts
        self._known = _KnownCandidates()

    async def answer(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer a request to a model.

        Raises:
            ApiError: the request is refused, or no candidate answers.
        """
        exchange: Exchange = request.scope[EXCHANGE]
        record = exchange.record
        session_id = _session_id(request, exchange.key)
        record.session = session_id is not None
        parsed = PARSERS[endpoint](await request.body())
        record.stream = parsed.stream
        state = self._services.zoo()
        if parsed.model in self._profiles:
            ranking = await self._rank(parsed, session_id, exchange)
        else:
            ranking = self._pin(parsed, exchange, state)
        try:
            sent = await self._services.dispatcher.send(
                ranking.order,
                endpoint,
                parsed.body,
                stream=parsed.stream,
                deadline=exchange.deadline,
            )
        except DispatchError as error:
            _note_attempts(record, error.attempts)
            error.headers[named.ATTEMPTS] = str(len(error.attempts))
            raise
        if record.routed and session_id is not None and sent.answer.status == 200:
            self._services.router.remember(session_id, ranking, sent.candidate)
        return await self._respond(sent, ranking, parsed, record, state)

    async def explain(self, request: Request) -> Response:
        """Return where a request would go, and why, without sending it.

        Raises:
            ApiError: the request is refused, or no candidate can answer it.
        """
        exchange: Exchange = request.scope[EXCHANGE]
        parsed = parse_route(await request.body(), next(iter(self._profiles)))
        if parsed.model not in self._profiles:
            raise ApiError(400, f"model must be one of {', '.join(self._profiles)}", param="model")
        session_id = _session_id(request, exchange.key)
        exchange.record.session = session_id is not None
        routed = self._route_request(parsed, session_id, exchange)
        exchange.record.requested, exchange.record.routed = parsed.model, True
        explanation = await self._services.router.explain(routed, parsed.explained)
        exchange.record.first_byte_s = time.monotonic()
        return Response(msgspec.json.encode(explanation), media_type="application/json")

    async def _rank(
        self, parsed: ParsedRequest, session_id: str | None, exchange: Exchange
    ) -> Ranking:
        record = exchange.record
        record.requested, record.routed = parsed.model, True
        if parsed.endpoint == "embeddings":
            raise ApiError(
                400,
                "embeddings are not routed, because vectors of different models cannot be "
                "compared; name a model",
                param="model",
            )
        routed = self._route_request(parsed, session_id, exchange)
        started_s = time.monotonic()
        ranking = await self._services.router.rank(routed)
        record.routing_s = time.monotonic() - started_s
        record.reason, record.confidence = ranking.reason, ranking.confidence
        record.scores, record.zoo_version = ranking.scores, ranking.zoo_version
        return ranking

    def _route_request(
        self, parsed: ParsedRequest, session_id: str | None, exchange: Exchange
    ) -> RouteRequest:
        record = exchange.record
        text = text_to_route(parsed.endpoint, parsed.body, self._routing)
        record.prompt_hash = hashlib.sha256(text.encode()).hexdigest()
        if self._keeps_text:
            record.scored_text = text
        requirements = Requirements(
            endpoint=parsed.endpoint,
            text=all_text(parsed.endpoint, parsed.body),
            max_new_tokens=parsed.max_new_tokens,
            modalities=parsed.modalities,
            tools=parsed.has_tools,
        )
        return RouteRequest(
            text=text,
            requirements=requirements,
            constraints=parsed.constraints(self._profiles[parsed.model]),
            permitted=None if exchange.key is None else exchange.key.models,
            session_id=session_id,
        )

    def _pin(self, parsed: ParsedRequest, exchange: Exchange, state: ZooState) -> Ranking:
        candidate = self._known.get(state, parsed.model)
        if candidate is None:
            raise model_not_found(visible_names(self._profiles, state, exchange.key))
        exchange.record.requested = candidate.name
        exchange.record.zoo_version = state.version
        if exchange.key is not None and not exchange.key.permits(candidate.name):
            raise ApiError(
                403, "this API key may not use this model; see /v1/models", param="model"
            )
        if parsed.endpoint not in candidate.endpoints:
            raise ApiError(
                404,
                f"this model does not answer {parsed.endpoint}; it answers "
                f"{', '.join(candidate.endpoints)}",
                code="endpoint_not_supported",
                param="model",
            )
        for name, value in parsed.routing_fields.items():
            if value is not None:
                raise ApiError(
                    400,
                    f"{name} needs a routed request, but this request names a model; leave it "
                    f"out, or set model to one of {', '.join(self._profiles)}",
                    param=name,
                )
        exchange.record.reason = PINNED
        return Ranking(order=(candidate.name,), reason=PINNED, zoo_version=state.version)

    async def _respond(
        self,
        sent: Dispatched,
        ranking: Ranking,
        parsed: ParsedRequest,
        record: RequestRecord,
        state: ZooState,
    ) -> Response:
        _note_attempts(record, sent.attempts)
        record.candidate = sent.candidate
        record.first_byte_s = time.monotonic()
        headers = _headers(sent, ranking, record)
        accounts = _Accounts(sent.answer, record, self._known.get(state, sent.candidate))
        if parsed.stream and sent.answer.status == 200:
            return _EventStream(sent.answer, headers, accounts)
        async with aclosing(sent.answer.parts) as parts:
            document = b"".join([part async for part in parts])
        accounts.close()
        return Response(document, sent.answer.status, headers, media_type="application/json")


class _EventStream(Response):
    """Relays server-sent events as they arrive; closes their source whatever happens."""

    def __init__(self, answer: Answer, headers: Mapping[str, str], accounts: "_Accounts") -> None:
        self._parts, self._accounts = answer.parts, accounts
        self.status_code, self.background = answer.status, None
        self.init_headers(
            {
                **headers,
                named.CONTENT_TYPE: "text/event-stream; charset=utf-8",
                named.CACHE_CONTROL: "no-cache",
                named.ACCEL_BUFFERING: "no",  # nginx would hold events back
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        try:
            async with aclosing(self._parts) as parts:
                await send({**start, "headers": self.raw_headers})
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._accounts.close()


class _Accounts:
    """Copies tokens and cost of an answer to the request record."""

    def __init__(self, answer: Answer, record: RequestRecord, candidate: Candidate | None) -> None:
        self._facts, self._record = answer.facts, record
        self._price = None if candidate is None else candidate.price

    def close(self) -> None:
        record, facts = self._record, self._facts
        record.prompt_tokens = facts.prompt_tokens
        record.completion_tokens = facts.completion_tokens
        if facts.failure is not None:
            record.error_code = f"stream_{facts.failure}"
        if self._price is not None and facts.prompt_tokens is not None:
            # Embeddings have no completion tokens.
            record.cost_usd = self._price.cost_usd(
                facts.prompt_tokens, facts.completion_tokens or 0
            )


class _KnownCandidates:
    """Candidates by name, cached for one version of the zoo."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._by_name: dict[str, Candidate] = {}

    def get(self, state: ZooState, name: str) -> Candidate | None:
        if self._version != state.version:
            self._by_name = {candidate.name: candidate for candidate in state.zoo.candidates}
            self._version = state.version
        return self._by_name.get(name)


def visible_names(
    profiles: Mapping[str, Constraints], state: ZooState, key: ApiKey | None
) -> list[str]:
    """Model names that a key may use: routing profiles, then candidates."""
    names = state.zoo.names
    if key is not None and key.models is not None:
        permitted = matching(names, key.models)
        names = tuple(name for name in names if name in permitted)
    return [*profiles, *names]


def _note_attempts(record: RequestRecord, attempts: tuple[Attempt, ...]) -> None:
    record.attempts = [(a.candidate, a.outcome, a.duration_s) for a in attempts]
    record.upstream_s = sum(attempt.duration_s for attempt in attempts)
    if attempts:
        record.candidate = attempts[-1].candidate


def _headers(sent: Dispatched, ranking: Ranking, record: RequestRecord) -> dict[str, str]:
    headers = {
        named.SELECTED_MODEL: header_text(sent.candidate),
        named.REASON: header_text(ranking.reason),
        named.ATTEMPTS: str(len(sent.attempts)),
        named.OVERHEAD_MS: f"{1000 * (record.overhead_s or 0.0):.2f}",
    }
    confidence = ranking.scores.get(sent.candidate, ranking.confidence)
    if confidence is not None:
        headers[named.CONFIDENCE] = f"{confidence:.4f}"
    return headers


def header_text(text: str) -> str:
    """Text as a header value: printable ASCII on one line, bounded."""
    shown = "".join(char if " " <= char <= "~" else " " for char in text)
    return " ".join(shown.split())[:_MAX_HEADER_CHARS]


def _session_id(request: Request, key: ApiKey | None) -> str | None:
    """The session of a request; the same id with another API key is another session."""
    session_id = request.headers.get(named.SESSION_ID)
    if session_id is None:
        return None
    if not re.fullmatch(named.SESSION_PATTERN, session_id):
        raise ApiError(
            400,
            f"{named.SESSION_ID} must be 1 to 256 printable ASCII characters",
            param=named.SESSION_ID,
        )
    return session_id if key is None else f"{key.name} {session_id}"
