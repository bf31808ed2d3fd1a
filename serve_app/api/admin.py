"""``/admin/zoo``: candidates, cards and router changed while serving.

For administrators only, so errors may repeat what they sent.
"""

import json
from collections.abc import Callable, Collection
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from modelsat.errors import ArtifactError, ConfigError, MachineError, ModelSatError, ZooError
from serve_app.contracts.error_codes import Code
from serve_app.contracts.errors import ApiError, refuse

_MAX_MESSAGE_CHARS = 1000
_MAX_VERSION = 10**9
_CODES: dict[type[ModelSatError], Code] = {
    ArtifactError: "artifact_error",
    ConfigError: "config_error",
    MachineError: "machine_error",
    ZooError: "zoo_error",
}


class AdminBackend(Protocol):
    """Changes the zoo; every method raises ModelSatError if a change is refused."""

    async def describe(self) -> dict[str, Any]:
        """The zoo, its followers, and the changes under way."""

    async def versions(self) -> list[dict[str, Any]]:
        """Every version kept, the newest first."""

    async def put_candidate(
        self, entry: object, card: object | None, force: bool
    ) -> dict[str, Any]:
        """Add or change a candidate."""

    async def remove_candidate(self, name: str) -> dict[str, Any]:
        """Remove a candidate."""

    async def set_router(self, router: str) -> dict[str, Any]:
        """Score with another router directory."""

    async def roll_back(self, version: int) -> dict[str, Any]:
        """Serve an earlier version again."""


def add_admin_routes(
    api: FastAPI, admin: AdminBackend, authorize: Callable[[Request], None]
) -> None:
    """Add the administration of the zoo to an application.

    A change answers once every live replica follows it, or after ``registry.agreement_timeout_s``
    with ``"agreed": false``. Adding a local candidate waits for its engine; it continues if the
    client disconnects, and ``GET /admin/zoo`` shows its progress.

    Args:
        api: the application.
        admin: changes the zoo.
        authorize: raises ApiError unless the request has an admin key.
    """

    @api.get("/admin/zoo", include_in_schema=False)
    async def describe(request: Request) -> Response:
        authorize(request)
        return await _answer(admin.describe())

    @api.get("/admin/zoo/versions", include_in_schema=False)
    async def versions(request: Request) -> Response:
        authorize(request)
        return await _answer(admin.versions(), "versions")

    @api.post("/admin/zoo/candidates", include_in_schema=False)
    async def put_candidate(request: Request) -> Response:
        authorize(request)
        body = await _body(request, ("entry", "card", "force"), required=("entry",))
        force = body.get("force", False)
        if not isinstance(force, bool):
            refuse("force must be true or false", "force")
        return await _answer(admin.put_candidate(body["entry"], body.get("card"), force))

    @api.delete("/admin/zoo/candidates/{name:path}", include_in_schema=False)
    async def remove_candidate(name: str, request: Request) -> Response:
        authorize(request)
        return await _answer(admin.remove_candidate(name))

    @api.put("/admin/zoo/router", include_in_schema=False)
    async def set_router(request: Request) -> Response:
        authorize(request)
        router = (await _body(request, ("router",), required=("router",)))["router"]
        if not isinstance(router, str) or not router or "\0" in router:
            refuse("router must be the path of a router directory", "router")
        return await _answer(admin.set_router(router))

    @api.post("/admin/zoo/rollback", include_in_schema=False)
    async def roll_back(request: Request) -> Response:
        authorize(request)
        version = (await _body(request, ("version",), required=("version",)))["version"]
        if type(version) is not int or not 1 <= version <= _MAX_VERSION:
            refuse("version must be the number of a version", "version")
        return await _answer(admin.roll_back(version))


async def _answer(work: Any, key: str | None = None) -> Response:
    try:
        result = await work
    except ModelSatError as error:
        code = next((c for kind, c in _CODES.items() if isinstance(error, kind)), None)
        unavailable = isinstance(error, MachineError)
        raise ApiError(
            503 if unavailable else 400,
            str(error)[:_MAX_MESSAGE_CHARS],
            code=code,
            retry_after_s=5 if unavailable else None,
        ) from None
    return JSONResponse(result if key is None else {key: result})


async def _body(
    request: Request, known: Collection[str], required: Collection[str]
) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        refuse("the body is not JSON in UTF-8", None)
    if not isinstance(body, dict):
        refuse("the body must be a JSON object", None)
    for key in required:
        if key not in body:
            refuse(f"{key} is missing", key)
    if not set(body) <= set(known):
        refuse(f"the body has an unknown key; known keys are {', '.join(known)}", None)
    return body
