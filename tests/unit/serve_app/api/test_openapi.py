"""The document against the server: what it says is accepted is, and nothing else."""

import json

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from serve_app.api.key_file import KeyFile, write_keys
from serve_app.api.keys import KeyRing

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}
BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"model": "tiny-b", "prompt": "Hi"},
    "/v1/embeddings": {"model": "embedder", "input": "Hi"},
    "/v1/route": {"prompt": "Hi"},
}


@pytest.fixture
def answers(served):
    return TestClient(served.build(), raise_server_exceptions=False)


@pytest.fixture
def document(answers):
    return answers.get("/openapi.json").json()


def body_schema(document, path):
    return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2.0, 0.5, 1.5, 21, 1e10]),
    st.sampled_from(["", "a", "a*", "auto", "tiny/a"]),
    st.just([]),
    st.just({}),
)
TOKENS = st.lists(st.sampled_from([0, 5, 7.0, -1, 1.5, True, "a", [1], [], [2.0, 3]]), max_size=3)
PART = st.one_of(
    ANYTHING,
    st.fixed_dictionaries(
        {}, optional={"type": st.sampled_from(["text", "image_url", 1, None]), "text": ANYTHING}
    ),
)
CONTENT = st.one_of(ANYTHING, st.lists(PART, max_size=2))
MESSAGE = st.one_of(
    ANYTHING,
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "", 1])},
        optional={"content": CONTENT, "tool_calls": st.sampled_from([None, [], {}, "a"])},
    ),
)
MODELS = st.one_of(
    ANYTHING,
    st.lists(st.sampled_from(["a", "a*", "", 1]), max_size=3),
    st.sampled_from([["a"] * 1024, ["a"] * 1025, ["a*"] * 64, ["[b"] * 65]),
)
FIELDS = {
    "model": st.sampled_from(["auto", "tiny/a", "embedder", "unknown", "", 1]),
    "messages": st.one_of(ANYTHING, st.lists(MESSAGE, max_size=3)),
    "prompt": st.one_of(ANYTHING, TOKENS),
    "input": st.one_of(ANYTHING, TOKENS),
    "stream": ANYTHING,
    "stream_options": ANYTHING,
    "tools": ANYTHING,
    "max_tokens": ANYTHING,
    "max_completion_tokens": ANYTHING,
    "tolerance": ANYTHING,
    "min_p": ANYTHING,
    "max_cost": ANYTHING,
    "models": MODELS,
    "top_k": ANYTHING,
    "unknown": ANYTHING,
}


@st.composite
def nearly_right(draw, path):
    """A body that is accepted, with a few fields replaced, added or left out."""
    body = dict(BODIES[path])
    changed = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=3, unique=True))
    for name in changed:
        if name in body and draw(st.booleans()):
            del body[name]
        else:
            body[name] = draw(FIELDS[name])
    return body


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), path=st.sampled_from(sorted(BODIES)))
def test_the_published_rules_are_the_rules(answers, document, data, path):
    body = data.draw(nearly_right(path))
    status = answers.post(path, content=json.dumps(body)).status_code
    if Draft202012Validator(body_schema(document, path)).is_valid(body):
        assert status in (200, 404)
    else:
        assert status in (400, 404)


@pytest.mark.parametrize("path", BODIES)
def test_every_body_schema_is_a_schema_and_takes_a_right_body(answers, document, path):
    schema = body_schema(document, path)
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(BODIES[path])
    assert not Draft202012Validator(schema).is_valid({})
    assert answers.post(path, json=BODIES[path]).status_code == 200


def test_the_document_has_every_route_and_no_other(served, document):
    routes = {
        (route.path.replace(":path", ""), method.lower())
        for route in served.build().routes
        for method in getattr(route, "methods", ())
        if route.path.startswith(("/v1", "/health"))
    }
    told = {(path, method) for path, item in document["paths"].items() for method in item}
    assert told == routes


def test_every_status_is_told_with_its_shape(document):
    for item in document["paths"].values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                [schema] = {json.dumps(c["schema"]) for c in answer["content"].values()} - {
                    '{"type": "string"}'
                }
                assert ("Error" in schema) == (status != "200")
                assert ("Retry-After" in answer.get("headers", {})) == (status in ("429", "503"))


def test_names_of_the_zoo_stand_where_they_answer(document):
    def named(path):
        text = json.dumps(body_schema(document, path))
        return {name for name in ("tiny/a", "tiny-b", "embedder") if f'"{name}"' in text}

    assert named("/v1/chat/completions") == {"tiny/a", "tiny-b"}
    assert named("/v1/embeddings") == {"embedder"}
    assert named("/v1/route") == set()


def test_a_key_is_asked_for_where_there_are_keys(served, document, tmp_path):
    assert document["security"] == []
    write_keys(tmp_path / "keys.yaml", KeyFile())
    served.keys = KeyRing(tmp_path / "keys.yaml")
    document = TestClient(served.build()).get("/openapi.json").json()
    assert document["security"] == [{"key": []}]
    assert document["paths"]["/health"]["get"]["security"] == []
