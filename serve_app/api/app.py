"""The HTTP application of one ingress replica: routes, and what stands before them."""

import time

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.middleware.cors import CORSMiddleware

from serve_app.api.admin import add_admin_routes
from serve_app.api.admission import Places
from serve_app.api.errors import ApiError, overloaded
from serve_app.api.gate import API_KEY, Gate
from serve_app.api.inference import Inference
from serve_app.api.models import Models
from serve_app.api.openapi import openapi_document
from serve_app.api.services import Services
from serve_app.config import ServeConfig

_ROUTE_ERRORS = {404: "no such path", 405: "this path does not take this method"}
_EXPOSED_HEADERS = (
    "x-modelsat-selected-model",
    "x-modelsat-confidence",
    "x-modelsat-reason",
    "x-modelsat-attempts",
    "x-modelsat-overhead-ms",
    "x-request-id",
    "retry-after",
)
_HOUR_S = 3600


def build_api(services: Services, config: ServeConfig, *, echo_request_id: bool = False) -> FastAPI:
    """Build the ASGI application.

    Its ``state.places`` tells how many requests are worked on and wait.

    Args:
        services: what it is built over.
        config: limits, profiles and origins.
        echo_request_id: whether answers carry ``x-request-id``; Ray Serve's proxy adds it
            itself, so only where none stands in front.
    """
    api = FastAPI(title="Model-SAT", docs_url=None, redoc_url=None, redirect_slashes=False)
    api.state.places = Places(
        config.ingress.max_in_flight, config.ingress.max_queued, config.ingress.queue_timeout_s
    )
    _add_model_routes(api, services, config)
    _add_health_routes(api, services)
    if services.admin is not None:
        add_admin_routes(api, services.admin, _authorize)
    profiles, needs_key = tuple(config.routing.profiles), services.keys is not None
    # FastAPI's /openapi.json asks this method.
    api.openapi = lambda: openapi_document(  # type: ignore[method-assign]
        profiles, services.zoo(), needs_key=needs_key
    )
    for status in _ROUTE_ERRORS:
        api.add_exception_handler(status, _on_unknown_route)
    api.add_middleware(
        Gate,
        services=services,
        config=config,
        places=api.state.places,
        echo_request_id=echo_request_id,
    )
    if config.security.cors_origins:
        api.add_middleware(  # outside the gate: a browser asks for permission without a key
            CORSMiddleware,
            allow_origins=config.security.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=_EXPOSED_HEADERS,
            max_age=_HOUR_S,
        )
    return api


def _add_model_routes(api: FastAPI, services: Services, config: ServeConfig) -> None:
    inference = Inference(services, config)
    models = Models(services, config, created=int(time.time()))

    @api.post("/v1/chat/completions")
    async def create_chat_completion(request: Request) -> Response:
        return await inference.answer(request, "chat")

    @api.post("/v1/completions")
    async def create_completion(request: Request) -> Response:
        return await inference.answer(request, "completions")

    @api.post("/v1/embeddings")
    async def create_embedding(request: Request) -> Response:
        return await inference.answer(request, "embeddings")

    @api.post("/v1/route")
    async def explain_route(request: Request) -> Response:
        return await inference.explain(request)

    @api.get("/v1/models")
    async def list_models(request: Request) -> Response:
        return JSONResponse(models.list(request.scope.get(API_KEY)))

    @api.get("/v1/models/{model:path}")
    async def retrieve_model(model: str, request: Request) -> Response:
        return JSONResponse(models.retrieve(model, request.scope.get(API_KEY)))


def _add_health_routes(api: FastAPI, services: Services) -> None:
    @api.get("/health")
    @api.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/health/ready")
    async def ready() -> dict[str, str]:
        if not services.ready():
            raise overloaded("not ready to answer requests; retry later", code="not_ready")
        return {"status": "ok"}


def _authorize(request: Request) -> None:
    """The gate has let in admin keys only; without a gate, and without keys, nobody gets in."""
    key = request.scope.get(API_KEY)
    if key is None or key.role != "admin":
        raise ApiError(403, "this path takes admin keys only", code="wrong_role")


async def _on_unknown_route(_request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    headers = getattr(error, "headers", None)  # Allow, with 405
    return JSONResponse(ApiError(status, _ROUTE_ERRORS[status]).body, status, headers)
