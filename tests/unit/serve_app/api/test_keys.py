import hmac
import os

import pytest
from fastapi.testclient import TestClient

from modelsat.errors import ConfigError
from serve_app.api import keys as keys_module
from serve_app.api.key_file import ApiKey, KeyFile, hash_key, write_keys
from serve_app.api.keys import KeyRing
from serve_app.contracts.errors import ApiError

CHAT = {"model": "tiny-b", "messages": [{"role": "user", "content": "Hi"}]}


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def key(name, **fields):
    return ApiKey(name=name, sha256=hash_key(f"sk-{name}"), **fields)


@pytest.fixture
def ring_of(tmp_path):
    path = tmp_path / "keys.yaml"

    def make(*entries, num_replicas=1):
        write_keys(path, KeyFile(keys=entries))
        clock = Clock()
        return KeyRing(path, num_replicas, clock), clock, path

    return make


def status_of(call, *arguments):
    try:
        call(*arguments)
    except ApiError as error:
        return error.status
    return 200


def test_a_key_is_found_by_its_hash(ring_of):
    ring, _, _ = ring_of(key("a"), key("b"))
    assert ring.authenticate("Bearer sk-b", "client").name == "b"
    assert ring.authenticate("bearer   sk-a", "client").name == "a"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "sk-a", "Basic sk-a", "Bearer sk-c", "Bearer sk-a x"]
)
def test_without_a_known_key_the_answer_is_401(ring_of, header):
    ring, _, _ = ring_of(key("a"))
    with pytest.raises(ApiError) as refused:
        ring.authenticate(header, "client")
    assert (refused.value.status, refused.value.code) == (401, "invalid_api_key")
    assert refused.value.headers["WWW-Authenticate"] == "Bearer"
    assert refused.value.body["error"]["type"] == "authentication_error"


def test_the_hash_of_a_key_does_not_authenticate(ring_of):
    ring, _, path = ring_of(key("a"))
    assert "sk-a" not in path.read_text()
    assert status_of(ring.authenticate, f"Bearer {key('a').sha256}", "client") == 401


def test_a_key_of_another_role_is_refused(ring_of):
    ring, _, _ = ring_of(key("user"), key("root", role="admin"))
    assert ring.has_admin
    assert status_of(ring.authenticate, "Bearer sk-user", "admin") == 403
    assert status_of(ring.authenticate, "Bearer sk-root", "client") == 403
    assert ring.authenticate("Bearer sk-root", "admin").name == "root"


def test_every_entry_is_compared_in_constant_time(ring_of, monkeypatch):
    ring, _, _ = ring_of(*(key(f"k{i}") for i in range(5)))
    compared, constant_time = [], hmac.compare_digest

    def compare(left, right):
        compared.append((left, right))
        return constant_time(left, right)

    monkeypatch.setattr(keys_module.hmac, "compare_digest", compare)
    ring.authenticate("Bearer sk-k0", "client")
    assert len(compared) == 5


def test_a_changed_file_is_followed_once_a_second_has_passed(ring_of):
    ring, clock, path = ring_of(key("a"))
    write_keys(path, KeyFile(keys=(key("b"), key("root", role="admin"))))
    assert status_of(ring.authenticate, "Bearer sk-b", "client") == 401
    clock.now_s += 1.1
    assert ring.authenticate("Bearer sk-b", "client").name == "b"
    assert status_of(ring.authenticate, "Bearer sk-a", "client") == 401
    assert ring.has_admin


@pytest.mark.parametrize("broken", ["keys: [{name: a}]", "{", None])
def test_a_malformed_file_keeps_the_previous_keys(ring_of, broken, caplog):
    ring, clock, path = ring_of(key("a"))
    if broken is None:
        path.unlink()
    else:
        path.write_text(broken)
    clock.now_s += 1.1
    assert ring.authenticate("Bearer sk-a", "client").name == "a"
    assert "the previous keys stay in use" in caplog.text
    write_keys(path, KeyFile(keys=(key("b"),)))
    clock.now_s += 1.1
    assert ring.authenticate("Bearer sk-b", "client").name == "b"


def test_an_unchanged_file_is_not_read_again(ring_of, monkeypatch):
    ring, clock, path = ring_of(key("a"))
    monkeypatch.setattr(keys_module, "read_keys", lambda path: pytest.fail("read"))
    clock.now_s += 5
    ring.authenticate("Bearer sk-a", "client")
    os.utime(path, (1, 1))
    clock.now_s += 0.5
    ring.authenticate("Bearer sk-a", "client")


def test_a_key_ring_needs_a_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        KeyRing(tmp_path / "none.yaml")


def test_the_rate_limit_allows_a_burst_of_one_minute_then_a_constant_rate(ring_of):
    ring, clock, _ = ring_of(key("a", requests_per_minute=6), key("b"))
    limited = ring.authenticate("Bearer sk-a", "client")
    assert [status_of(ring.count, limited) for _ in range(7)] == [200] * 6 + [429]
    clock.now_s += 9.9
    with pytest.raises(ApiError) as refused:
        ring.count(limited)
    assert refused.value.headers["Retry-After"] == "1"
    clock.now_s += 0.2
    assert status_of(ring.count, limited) == 200
    assert status_of(ring.count, limited) == 429
    clock.now_s += 3600
    assert [status_of(ring.count, limited) for _ in range(7)] == [200] * 6 + [429]
    unlimited = ring.authenticate("Bearer sk-b", "client")
    assert {status_of(ring.count, unlimited) for _ in range(100)} == {200}


def test_replicas_share_a_rate(ring_of):
    ring, _, _ = ring_of(key("a", requests_per_minute=6), num_replicas=3)
    limited = ring.authenticate("Bearer sk-a", "client")
    assert [status_of(ring.count, limited) for _ in range(3)] == [200, 200, 429]


def test_reloading_the_file_does_not_refill_the_bucket(ring_of):
    ring, clock, path = ring_of(key("a", requests_per_minute=1))
    limited = ring.authenticate("Bearer sk-a", "client")
    ring.count(limited)
    write_keys(path, KeyFile(keys=(key("a", requests_per_minute=1), key("b"))))
    clock.now_s += 1.1
    limited = ring.authenticate("Bearer sk-a", "client")
    assert status_of(ring.count, limited) == 429


def bearer(name):
    return {"authorization": f"Bearer sk-{name}"}


@pytest.fixture
def guarded(served, ring_of):
    served.keys, _, _ = ring_of(
        key("user"),
        key("some", models=("tiny/*",)),
        key("slow", requests_per_minute=1),
        key("root", role="admin"),
    )
    return TestClient(served.build(), raise_server_exceptions=False)


@pytest.mark.parametrize("name", ["none", "root", None])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/route"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/auto"),
        ("GET", "/anything"),
    ],
)
def test_every_path_needs_a_client_key(served, guarded, method, path, name):
    answer = guarded.request(method, path, json=CHAT, headers=bearer(name) if name else None)
    assert answer.status_code == (403 if name == "root" else 401)
    assert served.dispatcher.sent == []
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/openapi.json"])
def test_probes_need_no_key(guarded, path):
    assert guarded.get(path).status_code == 200


def test_a_valid_key_is_accepted_and_recorded_by_name(served, guarded):
    answer = guarded.post("/v1/chat/completions", json=CHAT, headers=bearer("user"))
    assert answer.status_code == 200
    assert served.record.key == "user"


def test_a_key_names_only_the_models_it_may(served, guarded):
    answer = guarded.post("/v1/chat/completions", json=CHAT, headers=bearer("some"))
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
    body = {**CHAT, "model": "tiny/a"}
    answer = guarded.post("/v1/chat/completions", json=body, headers=bearer("some"))
    assert answer.status_code == 200
    listed = guarded.get("/v1/models", headers=bearer("some")).json()["data"]
    assert [model["id"] for model in listed] == ["auto", "tiny/a"]
    assert guarded.get("/v1/models/tiny-b", headers=bearer("some")).status_code == 404


def test_the_router_receives_the_models_that_a_key_may_use(served, guarded):
    body, headers = {**CHAT, "model": "auto"}, {**bearer("some"), "x-session-id": "s"}
    assert guarded.post("/v1/chat/completions", json=body, headers=headers).status_code == 200
    headers = {**bearer("user"), "x-session-id": "s"}
    assert guarded.post("/v1/chat/completions", json=body, headers=headers).status_code == 200
    some, user = served.router.asked
    assert (some.permitted, user.permitted) == (("tiny/*",), None)
    assert some.session_id != user.session_id


def test_too_many_requests_are_429_and_reach_no_candidate(served, guarded):
    def ask():
        return guarded.post("/v1/chat/completions", json=CHAT, headers=bearer("slow"))

    assert ask().status_code == 200
    answer = ask()
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json()["error"]["type"] == "rate_limit_error"
    assert len(served.dispatcher.sent) == 1
    assert guarded.get("/v1/models", headers=bearer("slow")).status_code == 200


class FakeAdmin:
    async def describe(self):
        return {"version": 3}


def test_the_zoo_is_changed_with_an_admin_key_only(served, ring_of):
    served.admin = FakeAdmin()
    assert TestClient(served.build()).get("/admin/zoo").status_code == 403
    served.keys, _, _ = ring_of(key("user"), key("root", role="admin"))
    admin = TestClient(served.build())
    assert admin.get("/admin/zoo").status_code == 401
    assert admin.get("/admin/zoo", headers=bearer("user")).status_code == 403
    assert admin.get("/admin/zoo", headers=bearer("root")).json() == {"version": 3}
