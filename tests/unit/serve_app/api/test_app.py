import json

import pytest
from fastapi.testclient import TestClient

from modelsat.routing.policy import RoutingDecision
from serve_app.api.app import build_api
from serve_app.candidates.local import Answer
from serve_app.api.errors import ApiError, error_event, overloaded

NAMES = ("tiny/a", "tiny-b")
CREATED = 1_700_000_000


class FakeRouter:
    def __init__(self, decision=None, error=None):
        self.decision = decision or RoutingDecision("tiny-b", 0.75, {}, "highest_score")
        self.error = error
        self.texts = []

    async def decide(self, text):
        self.texts.append(text)
        if self.error:
            raise self.error
        return self.decision


class FakeCandidates:
    def __init__(self, status=200, parts=('{"model": "x"}',), error=None):
        self.status, self.parts, self.error = status, parts, error
        self.requests = []

    async def open_chat(self, candidate, body):
        self.requests.append((candidate, dict(body)))
        if self.error:
            raise self.error

        async def relay():
            for part in self.parts:
                yield part

        return Answer(self.status, relay())


def client(router=None, candidates=None):
    api = build_api(NAMES, router or FakeRouter(), candidates or FakeCandidates(), CREATED)
    return TestClient(api, raise_server_exceptions=False)


def chat(model="auto", **fields):
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **fields}


def post(test_client, body):
    return test_client.post("/v1/chat/completions", json=body)


def test_auto_sends_the_request_to_the_decided_candidate():
    router, candidates = FakeRouter(), FakeCandidates()
    answer = post(client(router, candidates), chat(top_k=7))
    assert router.texts == ["Hi"]
    assert candidates.requests == [("tiny-b", chat(model="tiny-b", top_k=7))]
    assert answer.json() == {"model": "x"}
    assert answer.headers["x-modelsat-selected-model"] == "tiny-b"
    assert answer.headers["x-modelsat-confidence"] == "0.7500"
    assert answer.headers["x-modelsat-reason"] == "highest_score"


def test_a_name_pins_without_asking_the_router():
    router, candidates = FakeRouter(), FakeCandidates()
    answer = post(client(router, candidates), chat(model="tiny/a"))
    assert router.texts == []
    assert candidates.requests[0][0] == "tiny/a"
    assert answer.headers["x-modelsat-reason"] == "pinned"
    assert "x-modelsat-confidence" not in answer.headers


def test_a_pinned_request_needs_no_text():
    body = chat(model="tiny/a", messages=[{"role": "system", "content": "Be brief."}])
    assert post(client(), body).status_code == 200


def test_an_unknown_model_is_not_found_and_reaches_no_candidate():
    candidates = FakeCandidates()
    answer = post(client(candidates=candidates), chat(model="secret-name"))
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "secret-name" not in answer.text
    assert candidates.requests == []


def test_a_stream_is_relayed_part_by_part():
    parts = ('data: {"model": "tiny-b"}\n\n', "data: [DONE]\n\n")
    answer = post(client(candidates=FakeCandidates(parts=parts)), chat(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-modelsat-selected-model"] == "tiny-b"
    assert answer.text == "".join(parts)


def test_a_stream_that_breaks_ends_with_an_error_event():
    event = error_event(ApiError(503, "gone"))
    answer = post(
        client(candidates=FakeCandidates(parts=("data: {}\n\n", event))), chat(stream=True)
    )
    assert answer.status_code == 200
    assert answer.text.endswith(event)


@pytest.mark.parametrize("stream", [False, True])
def test_a_candidates_refusal_keeps_status_and_body(stream):
    document = json.dumps(ApiError(400, "too long", param="n").body)
    candidates = FakeCandidates(status=400, parts=(document,))
    answer = post(client(candidates=candidates), chat(stream=stream))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["param"] == "n"


@pytest.mark.parametrize("broken", ["router", "candidates"])
def test_unavailability_is_503_with_retry_after(broken):
    error = overloaded("the scorer failed", code="scorer_unavailable")
    router = FakeRouter(error=error if broken == "router" else None)
    candidates = FakeCandidates(error=error if broken == "candidates" else None)
    answer = post(client(router, candidates), chat())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["type"] == "service_unavailable"
    assert answer.json()["error"]["code"] == "scorer_unavailable"


def test_a_defect_is_500_in_openais_shape_and_tells_nothing():
    answer = post(client(router=FakeRouter(error=KeyError("Hi"))), chat())
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert "Hi" not in answer.text


def test_a_reason_is_made_fit_for_a_header():
    decision = RoutingDecision("tiny-b", 0.5, {}, "b\u00e4d\r\nx-evil: 1 " + "y" * 500)
    answer = post(client(FakeRouter(decision)), chat())
    assert "x-evil" not in answer.headers
    assert answer.headers["x-modelsat-reason"].startswith("b d x-evil: 1 y")
    assert len(answer.headers["x-modelsat-reason"]) == 200


def test_models_are_auto_and_every_candidate():
    listed = client().get("/v1/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["auto", *NAMES]
    assert listed["data"][1] == {
        "id": "tiny/a",
        "object": "model",
        "created": CREATED,
        "owned_by": "model-sat",
    }
    assert client().get("/v1/models/tiny/a").json() == listed["data"][1]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/models/none", 404, "model_not_found"),
        ("GET", "/v1/none", 404, "not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/chat/completions", 400, "invalid_parameter"),
    ],
)
def test_every_error_has_openais_shape(method, path, status, code):
    answer = client().request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code


def test_health_answers():
    assert client().get("/health").json() == {"status": "ok"}
