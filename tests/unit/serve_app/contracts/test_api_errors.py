import json

import pytest

from serve_app.contracts.errors import (
    ApiError,
    error_event,
    model_not_found,
    overloaded,
)


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "param"),
    [
        (
            ApiError(400, "bad", param="stop"),
            400,
            "invalid_request_error",
            "invalid_parameter",
            "stop",
        ),
        (model_not_found(("auto", "a")), 404, "invalid_request_error", "model_not_found", "model"),
        (ApiError(408, "slow"), 408, "timeout", "timeout", None),
        (ApiError(429, "many"), 429, "rate_limit_error", "rate_limited", None),
        (ApiError(500, "defect"), 500, "server_error", "internal_error", None),
        (overloaded("full"), 503, "service_unavailable", "overloaded", None),
    ],
)
def test_errors_have_openais_shape(error, status, kind, code, param):
    assert error.status == status
    assert error.body == {
        "error": {"message": error.message, "type": kind, "param": param, "code": code}
    }


def test_overload_says_when_to_retry_and_a_bad_request_does_not():
    assert overloaded("full").headers == {"Retry-After": "1"}
    assert ApiError(400, "bad").headers == {}


def test_unknown_model_lists_the_known_ones_only():
    assert "auto, small" in model_not_found(("auto", "small")).message


def test_only_some_of_many_known_models_are_listed():
    message = model_not_found([f"m{i}" for i in range(1000)]).message
    assert "m19 and 980 more" in message
    assert "m20" not in message


def test_error_event_is_one_server_sent_event():
    event = error_event(ApiError(503, "gone"))
    assert event.startswith("data: ")
    assert event.endswith("\n\n")
    assert json.loads(event.removeprefix("data: "))["error"]["message"] == "gone"
