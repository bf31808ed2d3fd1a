import asyncio
import json

from pydantic import BaseModel

from serve_app.candidates.wire import wire_parts
from serve_app.contracts.errors import ApiError


class Response(BaseModel):
    model: str
    choices: list[str]


class Info(BaseModel):
    message: str
    code: int
    param: str | None = None


class EngineError(BaseModel):
    error: Info


def wire(*answers, body=None):
    async def engine():
        for answer in answers:
            yield answer

    async def collect():
        return [part async for part in wire_parts(engine(), body or {})]

    return asyncio.run(collect())


def test_events_pass_unchanged_after_the_status():
    events = ['data: {"id": 1}\n\n', "data: [DONE]\n\n"]
    assert wire(*events) == ["200", *events]


def test_a_response_becomes_one_document():
    status, document = wire(Response(model="m", choices=["a"]))
    assert status == "200"
    assert json.loads(document) == {"model": "m", "choices": ["a"]}


def test_an_engine_error_becomes_its_status_and_openais_shape():
    status, document = wire(EngineError(error=Info(message="too long", code=400, param="n")))
    assert status == "400"
    assert json.loads(document) == {
        "error": {
            "message": "too long",
            "type": "invalid_request_error",
            "param": "n",
            "code": "invalid_parameter",
        }
    }


def test_an_api_error_keeps_its_status():
    status, document = wire(ApiError(503, "full"))
    assert status == "503"
    assert json.loads(document)["error"]["message"] == "full"


def test_an_error_after_the_first_event_ends_the_stream_with_an_error_event():
    error = EngineError(error=Info(message="engine died", code=500))
    status, first, last = wire("data: {}\n\n", error, "data: never\n\n")
    assert (status, first) == ("200", "data: {}\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["type"] == "server_error"


def test_an_error_repeats_no_request_text():
    secret = "zebra-umbrella"
    body = {"messages": [{"role": "user", "content": secret}]}
    parts = wire(EngineError(error=Info(message=f"cannot read {secret}", code=400)), body=body)
    assert secret not in "".join(parts)


def test_no_answer_at_all_is_a_bad_gateway():
    status, document = wire()
    assert status == "502"
    assert json.loads(document)["error"]["code"] == "bad_gateway"
