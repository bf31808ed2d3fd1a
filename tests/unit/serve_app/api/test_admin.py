"""Requests that the administration of the zoo accepts, and its errors."""

import json

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.testclient import TestClient

from modelsat.errors import ArtifactError, MachineError, ZooError
from serve_app.api.admin import add_admin_routes
from serve_app.contracts.errors import ApiError

PATHS = [
    ("GET", "/admin/zoo"),
    ("GET", "/admin/zoo/versions"),
    ("POST", "/admin/zoo/candidates"),
    ("DELETE", "/admin/zoo/candidates/tiny/a"),
    ("PUT", "/admin/zoo/router"),
    ("POST", "/admin/zoo/rollback"),
]


class Zoo:
    """Returns the call that it received, or fails."""

    error = None

    def __getattr__(self, name):
        async def answer(*arguments):
            if self.error is not None:
                raise self.error
            return [name, *arguments]

        return answer


@pytest.fixture
def zoo():
    return Zoo()


@pytest.fixture
def client(zoo):
    def authorize(request: Request) -> None:
        if "authorization" not in request.headers:
            raise ApiError(401, "no API key was given")

    async def on_error(_request: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body, error.status, error.headers)

    api = FastAPI()
    api.add_exception_handler(ApiError, on_error)
    add_admin_routes(api, zoo, authorize)
    with TestClient(api, headers={"authorization": "Bearer x"}) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_requests_without_permission_are_refused(client, method, path):
    del client.headers["authorization"]
    answer = client.request(method, path, json={})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize(
    ("method", "path", "body", "asked"),
    [
        ("GET", "", None, ["describe"]),
        ("DELETE", "/candidates/tiny/a", None, ["remove_candidate", "tiny/a"]),
        ("DELETE", "/candidates/a%2Fb%20c", None, ["remove_candidate", "a/b c"]),
        (
            "POST",
            "/candidates",
            {"entry": {"name": "a"}},
            ["put_candidate", {"name": "a"}, None, False],
        ),
        (
            "POST",
            "/candidates",
            {"entry": 1, "card": 2, "force": True},
            ["put_candidate", 1, 2, True],
        ),
        ("PUT", "/router", {"router": "/r"}, ["set_router", "/r"]),
        ("POST", "/rollback", {"version": 3}, ["roll_back", 3]),
    ],
)
def test_requests_reach_the_controller(client, method, path, body, asked):
    content = None if body is None else json.dumps(body)
    answer = client.request(method, f"/admin/zoo{path}", content=content)
    assert (answer.status_code, answer.json()) == (200, asked)


@pytest.mark.parametrize(
    ("method", "path", "content", "param"),
    [
        ("POST", "/candidates", b"{", None),
        ("POST", "/candidates", b"[" * 100_000, None),
        ("POST", "/candidates", b'"\xff"', None),
        ("POST", "/candidates", b"[]", None),
        ("POST", "/candidates", b"{}", "entry"),
        ("POST", "/candidates", b'{"entry": {}, "forced": true}', None),
        ("POST", "/candidates", b'{"entry": {}, "force": "yes"}', "force"),
        ("PUT", "/router", b'{"router": 3}', "router"),
        ("PUT", "/router", b'{"router": ""}', "router"),
        ("PUT", "/router", b'{"router": "a\\u0000"}', "router"),
        ("POST", "/rollback", b'{"version": true}', "version"),
        ("POST", "/rollback", b'{"version": 1.5}', "version"),
        ("POST", "/rollback", b'{"version": 0}', "version"),
        ("POST", "/rollback", b'{"version": 99999999999999999999}', "version"),
    ],
)
def test_malformed_requests_are_refused(client, method, path, content, param):
    answer = client.request(method, f"/admin/zoo{path}", content=content)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["param"] == param


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ZooError("x"), 400, "zoo_error"),
        (ArtifactError("x"), 400, "artifact_error"),
        (MachineError("x"), 503, "machine_error"),
    ],
)
def test_the_code_names_the_kind_of_refusal(client, zoo, error, status, code):
    zoo.error = error
    answer = client.delete("/admin/zoo/candidates/a")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"] == "x"
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_long_reason_is_cut(client, zoo):
    zoo.error = ZooError("x" * 10_000)
    assert len(client.get("/admin/zoo").json()["error"]["message"]) == 1000
