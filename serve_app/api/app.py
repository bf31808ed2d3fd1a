"""OpenAI's paths as a FastAPI application over two things that can be faked: router, candidates."""

from collections.abc import Mapping
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from modelsat.routing.policy import RoutingDecision
from modelsat.zoo import AUTO_MODEL
from serve_app.candidates.local import Answer
from serve_app.api.requests import ChatRequest, parse_chat_request, text_to_route
from serve_app.api.errors import ApiError, model_not_found

PINNED = "pinned"  # x-modelsat-reason when the client named the model
_MAX_HEADER_CHARS = 200
_ROUTE_ERRORS = {404: "no such path", 405: "this path does not take this method"}


class Router(Protocol):
    """Chooses a candidate for a text."""

    async def decide(self, text: str) -> RoutingDecision:
        """Choose; raises ApiError."""


class Candidates(Protocol):
    """Sends requests to candidates."""

    async def open_chat(self, candidate: str, body: Mapping[str, Any]) -> Answer:
        """Send a request; raises ApiError."""


def build_api(
    names: tuple[str, ...], router: Router, candidates: Candidates, created: int
) -> FastAPI:
    """Build the ASGI application.

    Args:
        names: names of the candidates, in the zoo's order.
        router: decides where ``auto`` goes.
        candidates: answers requests.
        created: Unix time that model objects state.
    """
    api = FastAPI(title="Model-SAT", docs_url=None, redoc_url=None)
    models = {name: _model_object(name, created) for name in (AUTO_MODEL, *names)}

    @api.post("/v1/chat/completions")
    async def create_chat_completion(request: Request) -> Response:
        chat = parse_chat_request(await request.body())
        if chat.model not in models:
            raise model_not_found(tuple(models))
        candidate, headers = await _choose(chat, router)
        answer = await candidates.open_chat(candidate, {**chat.body, "model": candidate})
        return await _respond(answer, headers, stream=chat.stream)

    @api.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": list(models.values())}

    @api.get("/v1/models/{model:path}")
    async def retrieve_model(model: str) -> dict[str, Any]:
        if model not in models:
            raise model_not_found(tuple(models))
        return models[model]

    @api.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    api.add_exception_handler(ApiError, _on_api_error)
    for status in _ROUTE_ERRORS:
        api.add_exception_handler(status, _on_unknown_route)
    api.add_exception_handler(Exception, _on_defect)
    return api


async def _choose(chat: ChatRequest, router: Router) -> tuple[str, dict[str, str]]:
    """The candidate for a request, and the headers that tell of the choice."""
    if chat.model != AUTO_MODEL:
        headers = {"x-modelsat-selected-model": chat.model, "x-modelsat-reason": PINNED}
        return chat.model, headers
    decision = await router.decide(text_to_route(chat.body))
    return decision.candidate, {
        "x-modelsat-selected-model": decision.candidate,
        "x-modelsat-confidence": f"{decision.confidence:.4f}",
        "x-modelsat-reason": _header_text(decision.reason),
    }


async def _respond(answer: Answer, headers: dict[str, str], *, stream: bool) -> Response:
    if stream and answer.status == 200:
        headers = {**headers, "cache-control": "no-cache"}
        return StreamingResponse(answer.parts, media_type="text/event-stream", headers=headers)
    document = "".join([part async for part in answer.parts])
    return Response(document, answer.status, headers, media_type="application/json")


def _model_object(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "model-sat"}


def _header_text(text: str) -> str:
    """Text that may stand in a header: printable ASCII on one line, bounded."""
    shown = "".join(char if " " <= char <= "~" else " " for char in text)
    return " ".join(shown.split())[:_MAX_HEADER_CHARS]


async def _on_api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status, error.headers)


async def _on_unknown_route(_request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    headers = getattr(error, "headers", None)  # Allow, with 405
    return JSONResponse(ApiError(status, _ROUTE_ERRORS[status]).body, status, headers)


async def _on_defect(_request: Request, _error: Exception) -> Response:
    error = ApiError(500, "the server failed on this request")
    return JSONResponse(error.body, error.status)
