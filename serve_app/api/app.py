"""The HTTP application of one ingress replica: its routes and middleware."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from serve_app.api.admin import add_admin_routes
from serve_app.api.connection import ConcurrencyLimiter
from serve_app.api.inference import Inference
from serve_app.api.middleware import API_KEY, RequestMiddleware
from serve_app.api.models import Models
from serve_app.api.openapi import openapi_document
from serve_app.api.services import Services
from serve_app.config import ServeConfig
from serve_app.contracts.errors import ApiError, overloaded
from serve_app.contracts.headers import EXPOSED_HEADERS

_ROUTE_ERRORS = {404: "no such path", 405: "this path does not take this method"}
_HOUR_S = 3600


def build_api(services: Services, config: ServeConfig, *, echo_request_id: bool = False) -> FastAPI:
    """Build the ASGI application.

    Its ``state.limiter`` counts the requests in flight and in the queue.

    Args:
        services: the parts behind the routes.
        config: limits, profiles and origins.
        echo_request_id: whether replies carry ``x-request-id``; only without Ray Serve's proxy in
            front, which adds it itself.
    """
    api = FastAPI(title="Model-SAT", docs_url=None, redoc_url=None, redirect_slashes=False)
    api.state.limiter = ConcurrencyLimiter(
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
        RequestMiddleware,
        services=services,
        config=config,
        limiter=api.state.limiter,
        echo_request_id=echo_request_id,
    )
    if config.security.cors_origins:
        api.add_middleware(  # outermost: a browser sends its preflight request without a key
            CORSMiddleware,
            allow_origins=config.security.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
            max_age=_HOUR_S,
        )
    return api


def _add_model_routes(api: FastAPI, services: Services, config: ServeConfig) -> None:
    inference = Inference(services, config)
    models = Models(services, config, created=int(time.time()))

    # Plain Starlette routes: FastAPI has nothing to parse or to check here.
    handlers: dict[str, Callable[..., Any]] = {
        "/v1/chat/completions": partial(inference.answer, endpoint="chat"),
        "/v1/completions": partial(inference.answer, endpoint="completions"),
        "/v1/embeddings": partial(inference.answer, endpoint="embeddings"),
        "/v1/route": inference.explain,
    }
    for path, handler in handlers.items():
        api.router.routes.append(Route(path, handler, methods=["POST"]))

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
    """Refuse a request without an admin key; without the middleware or keys, every request."""
    key = request.scope.get(API_KEY)
    if key is None or key.role != "admin":
        raise ApiError(403, "this path takes admin keys only", code="wrong_role")


async def _on_unknown_route(_request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    headers = getattr(error, "headers", None)  # Allow, with 405
    return JSONResponse(ApiError(status, _ROUTE_ERRORS[status]).body, status, headers)
