import json

import pytest
from fastapi.testclient import TestClient

from modelsat.routing.constraints import Constraints
from serve_app.contracts.answers import AnswerFacts, Attempt, DispatchError
from serve_app.contracts.errors import ApiError, error_event, overloaded
from serve_app.contracts.headers import CORS_RESPONSE_HEADERS, RESPONSE_HEADERS
from serve_app.contracts.routing import Ranking

PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
}


def client(served, **options):
    return TestClient(served.build(**options), raise_server_exceptions=False)


def chat(model="auto", **fields):
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **fields}


def post(served, body, path=PATHS["chat"], headers=None):
    return client(served).post(path, json=body, headers=headers)


def test_auto_goes_to_the_routers_order_with_the_body_as_it_came(served):
    answer = post(served, chat(top_k=7, seed=[1, {"deep": None}]))
    [(order, endpoint, body, stream, _)] = served.dispatcher.sent
    assert (order, endpoint, stream) == (("tiny-b", "tiny/a"), "chat", False)
    assert body == chat(top_k=7, seed=[1, {"deep": None}])
    assert answer.content == b'{"object": "chat.completion", "model": "x"}'
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-modelsat-selected-model"] == "tiny-b"
    assert answer.headers["x-modelsat-confidence"] == "0.7500"
    assert answer.headers["x-modelsat-reason"] == "highest_score"
    assert answer.headers["x-modelsat-attempts"] == "1"
    assert float(answer.headers["x-modelsat-overhead-ms"]) >= 0


def test_the_router_receives_the_requirements_of_the_request(served):
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    body = chat(messages=messages, tools=tools, max_tokens=5, max_completion_tokens=9)
    assert post(served, body, headers={"x-session-id": "s 1"}).status_code == 200
    [routed] = served.router.asked
    assert routed.text == "What is this?"
    assert routed.session_id == "s 1"
    assert routed.permitted is None
    needed = routed.requirements
    assert (needed.endpoint, needed.tools, needed.max_new_tokens) == ("chat", True, 9)
    assert needed.modalities == {"text", "image", "audio"}
    for text in ("Be brief.", "What is this?", "look_up"):
        assert text in needed.text


def test_routing_fields_override_the_profile_and_reach_no_candidate(served):
    profile = Constraints(tolerance=0.1, min_p=0.2, models=("tiny*",))
    served.config = {"routing": {"profiles": {"auto-cheap": profile}}}
    body = chat("auto-cheap", tolerance=0, max_cost=2.5, min_p=None)
    assert post(served, body).status_code == 200
    expected = Constraints(tolerance=0, max_cost=2.5, min_p=None, models=("tiny*",))
    assert served.router.asked[0].constraints == expected
    assert served.dispatcher.sent[0][2] == chat("auto-cheap")


def test_an_allow_list_reaches_the_router(served):
    assert post(served, chat(models=["tiny/*", "tiny-b"])).status_code == 200
    assert served.router.asked[0].constraints.models == ("tiny/*", "tiny-b")


def test_a_name_pins_without_asking_the_router(served):
    answer = post(served, chat("tiny/a"))
    assert served.router.asked == []
    assert served.dispatcher.sent[0][0] == ("tiny/a",)
    assert answer.headers["x-modelsat-reason"] == "pinned"
    assert answer.headers["x-modelsat-selected-model"] == "tiny/a"
    assert "x-modelsat-confidence" not in answer.headers


def test_a_pinned_request_needs_no_text(served):
    body = chat("tiny/a", messages=[{"role": "system", "content": "Be brief."}])
    assert post(served, body).status_code == 200


@pytest.mark.parametrize(
    ("knob", "value"), [("tolerance", 0.1), ("min_p", 0), ("max_cost", 3), ("models", ["*"])]
)
def test_a_routing_field_with_a_named_model_is_refused(served, knob, value):
    answer = post(served, chat("tiny/a", **{knob: value}))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, knob)
    assert served.dispatcher.sent == []


def test_a_null_routing_field_with_a_named_model_is_accepted(served):
    assert post(served, chat("tiny/a", tolerance=None)).status_code == 200
    assert served.dispatcher.sent[0][2] == chat("tiny/a")


@pytest.mark.parametrize("depth", [100, 500, *range(900, 1020, 10)])
def test_a_body_of_any_depth_does_not_fail_the_server(served, depth):
    tools = "[" * depth + "]" * depth
    body = json.dumps(chat(tools=[]))[:-3] + tools + "}"
    answer = client(served).post(PATHS["chat"], content=body)
    assert answer.status_code == (200 if depth == 100 else 400)


@pytest.mark.parametrize("path", PATHS.values())
def test_an_unknown_model_is_not_found_and_reaches_no_candidate(served, path):
    body = chat("secret-name", prompt="Hi", input="Hi")
    answer = post(served, body, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "secret-name" not in answer.text
    assert served.dispatcher.sent == []


@pytest.mark.parametrize(("endpoint", "model"), [("embeddings", "tiny-b"), ("chat", "embedder")])
def test_a_model_that_lacks_the_endpoint_is_refused(served, endpoint, model):
    answer = post(served, chat(model, input="Hi"), PATHS[endpoint])
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "endpoint_not_supported"


def test_embeddings_pass_through_to_the_model_named(served):
    body = {"model": "embedder", "input": ["a", "b"], "encoding_format": "base64"}
    assert post(served, body, PATHS["embeddings"]).status_code == 200
    assert served.dispatcher.sent[0][:3] == (("embedder",), "embeddings", body)


def test_embeddings_are_not_routed(served):
    answer = post(served, {"model": "auto", "input": "Hi"}, PATHS["embeddings"])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


def test_text_completions_are_routed_by_their_prompts(served):
    body = {"model": "auto", "prompt": ["One", "Two"], "max_tokens": 4}
    assert post(served, body, PATHS["completions"]).status_code == 200
    [routed] = served.router.asked
    assert routed.text == "One\nTwo"
    assert routed.requirements.endpoint == "completions"
    assert routed.requirements.max_new_tokens == 4


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1], [2, 3]]])
def test_token_ids_are_accepted_for_a_named_model_only(served, prompt):
    path = PATHS["completions"]
    assert post(served, {"model": "tiny-b", "prompt": prompt}, path).status_code == 200
    answer = post(served, {"model": "auto", "prompt": prompt}, path)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt")


def test_a_stream_is_relayed_part_by_part_and_closed(served):
    served.dispatcher.parts = (b'data: {"model": "tiny-b"}\n\n', b"data: [DONE]\n\n")
    answer = post(served, chat(stream=True))
    assert served.dispatcher.sent[0][3] is True
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-modelsat-selected-model"] == "tiny-b"
    assert answer.content == b"".join(served.dispatcher.parts)
    assert served.dispatcher.opened[0].num_closed == 1


def test_a_stream_that_raises_ends_with_an_error_event_and_is_closed(served):
    served.dispatcher.parts = (b"data: {}\n\n", RuntimeError("a defect"))
    answer = post(served, chat(stream=True))
    *_, last = answer.text.strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "internal_error"
    assert "a defect" not in answer.text
    assert served.dispatcher.opened[0].num_closed == 1
    assert served.record.error_code == "internal_error"


@pytest.mark.parametrize("stream", [False, True])
def test_a_candidates_refusal_keeps_status_and_body(served, stream):
    document = json.dumps(ApiError(400, "too long", param="n").body).encode()
    served.dispatcher.status, served.dispatcher.parts = 400, (document,)
    answer = post(served, chat(stream=stream))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == document
    assert served.dispatcher.opened[0].num_closed == 1


@pytest.mark.parametrize("broken", ["router", "dispatcher"])
def test_unavailability_is_503_with_retry_after(served, broken):
    getattr(served, broken).error = overloaded("nobody is there", code="no_healthy_candidate")
    answer = post(served, chat())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["type"] == "service_unavailable"
    assert answer.json()["error"]["code"] == "no_healthy_candidate"


def test_attempts_are_reported_if_all_candidates_failed(served):
    attempts = (Attempt("tiny-b", "timeout", 0.1), Attempt("tiny/a", "server_error", 0.2))
    served.dispatcher.error = DispatchError(503, "nobody", attempts=attempts, retry_after_s=4)
    answer = post(served, chat())
    assert answer.headers["x-modelsat-attempts"] == "2"
    assert answer.headers["retry-after"] == "4"
    assert [attempt[:2] for attempt in served.record.attempts] == [
        ("tiny-b", "timeout"),
        ("tiny/a", "server_error"),
    ]
    assert served.record.status == 503


def test_the_confidence_is_that_of_the_candidate_that_answered(served):
    served.dispatcher.failed_first = (Attempt("tiny-b", "timeout", 0.5),)
    answer = post(served, chat())
    assert answer.headers["x-modelsat-selected-model"] == "tiny/a"
    assert answer.headers["x-modelsat-confidence"] == "0.5000"
    assert answer.headers["x-modelsat-attempts"] == "2"


def test_a_ranking_without_scores_has_no_confidence(served):
    served.router.ranking = Ranking(order=("tiny/a",), reason="scorer_timeout")
    answer = post(served, chat())
    assert answer.headers["x-modelsat-reason"] == "scorer_timeout"
    assert "x-modelsat-confidence" not in answer.headers


def test_an_unexpected_error_is_500_in_openais_shape_without_details(served, caplog):
    served.router.error = KeyError("a secret text")
    answer = post(served, chat())
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert "a secret text" not in answer.text
    assert "unexpected error: KeyError" in caplog.text
    assert "a secret text" not in caplog.text


def test_a_reason_is_converted_to_a_header_value(served):
    reason = "b\u00e4d\r\nx-evil: 1 " + "y" * 500
    served.router.ranking = Ranking(order=("tiny-b",), reason=reason)
    answer = post(served, chat())
    assert "x-evil" not in answer.headers
    assert answer.headers["x-modelsat-reason"].startswith("b d x-evil: 1 y")
    assert len(answer.headers["x-modelsat-reason"]) == 200


def test_forged_headers_change_nothing(served):
    forged = {"x-modelsat-selected-model": "tiny/a", "x-modelsat-reason": "forged"}
    answer = post(served, chat(), headers=forged)
    assert answer.headers["x-modelsat-selected-model"] == "tiny-b"
    assert "forged" not in str(answer.headers)
    assert "forged" not in str(served.dispatcher.sent) + str(served.router.asked)


@pytest.mark.parametrize("stream", [False, True])
def test_a_session_is_stored_with_the_candidate_that_answered(served, stream):
    served.dispatcher.failed_first = (Attempt("tiny-b", "server_error", 0.1),)
    assert post(served, chat(stream=stream), headers={"x-session-id": "s"}).status_code == 200
    assert served.router.kept == [("s", served.router.ranking, "tiny/a")]


def test_a_request_without_an_answer_changes_no_session(served):
    served.dispatcher.status = 400
    assert post(served, chat(), headers={"x-session-id": "s"}).status_code == 400
    served.dispatcher.error = DispatchError(503, "down", attempts=[])
    assert post(served, chat(), headers={"x-session-id": "s"}).status_code == 503
    assert served.router.kept == []


def test_pinned_requests_and_requests_without_a_session_are_not_stored(served):
    assert post(served, chat("tiny/a"), headers={"x-session-id": "s"}).status_code == 200
    assert post(served, chat()).status_code == 200
    assert served.router.kept == []


@pytest.mark.parametrize("model", ["auto", "tiny/a"])
@pytest.mark.parametrize("session", ["", "x" * 257, "caf\u00e9", "a\tb"])
def test_a_session_id_is_bounded_and_printable(served, session, model):
    answer = post(served, chat(model), headers={"x-session-id": session.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "x-session-id")


def test_a_route_request_returns_the_ranking_and_sends_nothing(served):
    body = {"messages": chat()["messages"], "tolerance": 0.2, "top_k": 5}
    answer = post(served, body, "/v1/route")
    assert answer.json() == {"selected_model": "tiny-b"}
    [(routed, top_k)] = served.router.asked
    assert (routed.text, routed.constraints.tolerance, top_k) == ("Hi", 0.2, 5)
    assert served.dispatcher.sent == []
    assert (served.record.endpoint, served.record.status) == ("route", 200)


def test_a_route_request_takes_a_prompt(served):
    assert post(served, {"model": "auto", "prompt": "Hi"}, "/v1/route").status_code == 200
    assert served.router.asked[0][0].requirements.endpoint == "completions"
    assert served.router.asked[0][1] == 3


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": "tiny/a"}, "model"),
        ({"prompt": "Hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"top_k": 21}, "top_k"),
        ({"top_k": True}, "top_k"),
    ],
)
def test_a_route_request_is_validated(served, changes, param):
    answer = post(served, {"messages": chat()["messages"], **changes}, "/v1/route")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_models_are_profiles_and_every_candidate(served):
    served.config = {"routing": {"profiles": {"auto-cheap": {"tolerance": 0.1}}}}
    answers = client(served)
    listed = answers.get("/v1/models").json()
    assert listed["object"] == "list"
    names = [model["id"] for model in listed["data"]]
    assert names == ["auto", "auto-cheap", "tiny/a", "tiny-b", "embedder"]
    for model in listed["data"]:
        assert (model["object"], model["owned_by"]) == ("model", "model-sat")
        assert isinstance(model["created"], int)
        assert answers.get(f"/v1/models/{model['id']}").json() == model
    assert [model.get("max_model_len") for model in listed["data"]] == [None, None, 4096, 4096, 512]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/models/none", 404, "model_not_found"),
        ("GET", "/v1/none", 404, "not_found"),
        ("POST", "/v1/chat/completions/", 404, "not_found"),
        ("POST", "/v1/chat/completions%0A", 404, "not_found"),
        ("GET", "/admin/state", 404, "not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("HEAD", "/v1/models", 405, None),
        ("POST", "/v1/chat/completions", 400, "invalid_parameter"),
    ],
)
def test_every_error_has_openais_shape(served, method, path, status, code):
    answer = client(served).request(method, path)
    assert answer.status_code == status
    assert ("allow" in answer.headers) == (status == 405)
    if code is not None:
        assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize("case", ["answer", "stream", "method", "no candidate", "cors"])
def test_every_response_header_is_documented(served, case):
    served.config = {"security": {"cors_origins": ["https://chat.example.com"]}}
    if case == "no candidate":
        served.dispatcher.error = DispatchError(503, "nobody", attempts=(), retry_after_s=4)
    origin = {"origin": "https://chat.example.com", "access-control-request-method": "POST"}
    answer = client(served, echo_request_id=True).request(
        {"method": "GET", "cors": "OPTIONS"}.get(case, "POST"),
        PATHS["chat"],
        json=chat(stream=case == "stream"),
        headers=origin,
    )
    assert answer.status_code == {"method": 405, "no candidate": 503}.get(case, 200)
    documented = {name.lower() for name in (*RESPONSE_HEADERS, *CORS_RESPONSE_HEADERS)}
    assert set(answer.headers) <= documented


def test_health_answers(served):
    served.is_ready = False
    answers = client(served)
    assert answers.get("/health").json() == {"status": "ok"}
    assert answers.get("/health/live").json() == {"status": "ok"}
    not_ready = answers.get("/health/ready")
    assert (not_ready.status_code, not_ready.headers["retry-after"]) == (503, "1")
    assert not_ready.json()["error"]["code"] == "not_ready"
    served.is_ready = True
    assert answers.get("/health/ready").json() == {"status": "ok"}


def test_other_origins_are_refused_unless_configured(served):
    origin = {"origin": "https://chat.example.com"}
    assert (
        "access-control-allow-origin" not in client(served).get("/health", headers=origin).headers
    )
    served.config = {"security": {"cors_origins": ["https://chat.example.com"]}}
    answers = client(served)
    asked = {**origin, "access-control-request-method": "POST"}
    assert answers.options("/v1/chat/completions", headers=asked).status_code == 200
    answer = answers.get("/health", headers=origin)
    assert answer.headers["access-control-allow-origin"] == "https://chat.example.com"
    other = answers.get("/health", headers={"origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in other.headers


def test_a_record_describes_the_request(served):
    served.dispatcher.facts = AnswerFacts(prompt_tokens=1000, completion_tokens=500)
    assert post(served, chat(), headers={"x-session-id": "s"}).status_code == 200
    record = served.record
    assert (record.endpoint, record.requested, record.routed) == ("chat", "auto", True)
    assert (record.candidate, record.reason, record.confidence) == ("tiny-b", "highest_score", 0.75)
    assert (record.scores, record.zoo_version) == ({"tiny-b": 0.75, "tiny/a": 0.5}, 3)
    assert (record.status, record.error_code, record.session) == (200, None, True)
    assert (record.prompt_tokens, record.completion_tokens) == (1000, 500)
    assert record.cost_usd == pytest.approx(0.002)
    assert record.started_s <= record.first_byte_s <= record.ended_s
    assert record.scored_text is None
    assert "Hi" not in repr(record)


def test_the_scored_text_is_kept_only_where_the_routing_log_asks_for_it(served):
    served.config = {"observability": {"routing_log": {"with_prompts": True}}}
    post(served, chat())
    assert served.record.scored_text == "Hi"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (chat("secret-name"), 404, "model_not_found"),
        (chat(messages=[]), 400, "invalid_parameter"),
        (chat("tiny/a", tolerance=1), 400, "invalid_parameter"),
    ],
)
def test_a_refusal_is_recorded_once_without_text(served, body, status, code):
    post(served, body)
    assert (served.record.status, served.record.error_code) == (status, code)
    assert served.record.requested in (None, "tiny/a")
    assert served.record.candidate is None


def test_a_stream_that_broke_is_recorded_as_such(served):
    served.dispatcher.facts = AnswerFacts(failure="timeout")
    served.dispatcher.parts = (error_event(ApiError(504, "slow")).encode(),)
    post(served, chat(stream=True))
    assert (served.record.status, served.record.error_code) == (200, "stream_timeout")
