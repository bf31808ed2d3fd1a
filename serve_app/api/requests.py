"""Reading requests: what routing needs of them, and nothing else.

A body travels on as it came, so fields that this version does not know reach the candidate. Only
our own fields (``KNOBS``) are taken out, and ``model`` becomes the candidate's name. The rules
checked here are the ones that ``serve_app.api.openapi`` publishes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import msgspec

from modelsat.routing.policy import Constraints
from modelsat.zoo.candidate import Endpoint
from serve_app.api.errors import ApiError

KNOBS = ("tolerance", "min_p", "max_cost", "models")

MAX_ALLOWED_MODELS = 1024  # entries of ``models``
MAX_WILDCARDS = 64  # of them with * ? or [, each of which is tried on every candidate
MAX_EXPLAINED = 20  # card statements that /v1/route tells per candidate
_USUALLY_EXPLAINED = 3
MAX_COST = 1e9  # US dollars per million tokens
_MOST_TOKENS = 2**40  # beyond every context window, and within 64 bits

# An empty list or object of 3 bytes costs 60 to 90 bytes and 0.3 us; texts hold few brackets.
_MAX_BRACKETS = 250_000
# Whatever walks or encodes a body recurses; Python and msgspec end that at about 1000 levels.
_MAX_DEPTH = 128
_TOO_DEEP = f"the body is nested more than {_MAX_DEPTH} levels deep"
_WILDCARDS = frozenset("*?[")
# Fields that bound the answer, the one that counts first.
_LIMITS: Mapping[str, tuple[str, ...]] = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
}
_MODALITIES = {"image_url": "image", "input_audio": "audio", "audio_url": "audio"}
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class Asked:
    """A request as it was read.

    Attributes:
        endpoint: which of OpenAI's endpoints it is for; ``/v1/route`` is told by its contents.
        body: the JSON object without our own fields.
        model: the requested model name.
        stream: whether the answer is to be streamed.
        knobs: our own fields that were given, null ones included.
        explained: card statements to tell per candidate, for ``/v1/route``.
    """

    endpoint: Endpoint
    body: dict[str, Any]
    model: str
    stream: bool = False
    knobs: Mapping[str, Any] = field(default_factory=dict)
    explained: int = 0

    def constraints(self, profile: Constraints) -> Constraints:
        """What the caller accepts: the profile's, overridden by what the request gives.

        A null asks for nothing, whatever the profile says.
        """
        return profile.model_copy(update=dict(self.knobs)) if self.knobs else profile

    @property
    def modalities(self) -> frozenset[str]:
        """Kinds of input that it brings."""
        found = {"text"}
        for message in self.body["messages"] if self.endpoint == "chat" else ():
            content = message.get("content")
            if isinstance(content, list):
                found.update(_MODALITIES.get(part["type"], "text") for part in content)
        return frozenset(found)

    @property
    def max_new_tokens(self) -> int:
        """Tokens of the answer that it asks for, bounded; 0 where it does not say."""
        limits = [self.body.get(name) for name in _LIMITS.get(self.endpoint, ())]
        return int(min(next(filter(None, limits), 0), _MOST_TOKENS))

    @property
    def brings_tools(self) -> bool:
        """Whether it brings tools."""
        return self.endpoint == "chat" and bool(self.body.get("tools"))


def parse_chat(raw: bytes) -> Asked:
    """Read a chat completion request.

    Raises:
        ApiError: 400 with the name of the offending field.
    """
    body = _read_json_object(raw)
    _check_chat(body)
    return _completion("chat", body)


def parse_completion(raw: bytes) -> Asked:
    """Read a text completion request; see :func:`parse_chat`."""
    body = _read_json_object(raw)
    _check_texts(body.get("prompt"), "prompt")
    _check_limits(body, "completions")
    return _completion("completions", body)


def parse_embedding(raw: bytes) -> Asked:
    """Read an embedding request; see :func:`parse_chat`."""
    body = _read_json_object(raw)
    _check_texts(body.get("input"), "input")
    return Asked("embeddings", body, _model(body), knobs=_take_knobs(body))


def parse_route(raw: bytes, default_model: str) -> Asked:
    """Read a question about a route: a chat or a text completion request, ``model`` optional.

    Raises:
        ApiError: 400 with the name of the offending field.
    """
    body = _read_json_object(raw)
    if ("messages" in body) == ("prompt" in body):
        _refuse("give either messages or prompt", "messages")
    explained = body.pop("top_k", _USUALLY_EXPLAINED)
    if not _is_integer(explained, 0, MAX_EXPLAINED):
        _refuse(f"top_k must be an integer from 0 to {MAX_EXPLAINED}", "top_k")
    body.setdefault("model", default_model)
    if "messages" in body:
        _check_chat(body)
    else:
        _check_texts(body["prompt"], "prompt")
        _check_limits(body, "completions")
    endpoint: Endpoint = "chat" if "messages" in body else "completions"
    model = _model(body)
    return Asked(endpoint, body, model, knobs=_take_knobs(body), explained=int(explained))


PARSERS: Mapping[str, Callable[[bytes], Asked]] = {
    "chat": parse_chat,
    "completions": parse_completion,
    "embeddings": parse_embedding,
}


def _completion(endpoint: Endpoint, body: dict[str, Any]) -> Asked:
    stream = body.get("stream")
    if not (stream is None or isinstance(stream, bool)):
        _refuse("stream must be true or false", "stream")
    options = body.get("stream_options")
    if not (options is None or isinstance(options, dict)):
        _refuse("stream_options must be an object", "stream_options")
    return Asked(endpoint, body, _model(body), bool(stream), _take_knobs(body))


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        _refuse("model must be a non-empty string", "model")
    return model


def _read_json_object(raw: bytes) -> dict[str, Any]:
    num_brackets = raw.count(b"[") + raw.count(b"{")
    if num_brackets > _MAX_BRACKETS:
        _refuse(f"the body holds more than {_MAX_BRACKETS} brackets", None)
    try:
        body = _decode(raw)
    except UnicodeError:
        _refuse("the body is not valid UTF-8 text", None)
    except RecursionError:
        _refuse(_TOO_DEEP, None)
    except msgspec.MsgspecError:
        _refuse("the body is not valid JSON", None)
    if not isinstance(body, dict):
        _refuse("the body must be a JSON object", None)
    if num_brackets > _MAX_DEPTH and _is_deeper(body, _MAX_DEPTH):
        _refuse(_TOO_DEEP, None)
    return body


def _is_deeper(body: dict[str, Any], depth: int) -> bool:
    """Whether objects and lists are nested more levels deep; does not recurse."""
    level: list[Any] = [body]
    for _ in range(depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    return bool(level)


def _check_chat(body: Mapping[str, Any]) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        _refuse("messages must be a non-empty list", "messages")
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            _refuse(f"{where} must be an object", where)
        if not isinstance(message.get("role"), str) or not message["role"]:
            _refuse(f"{where}.role must be a non-empty string", f"{where}.role")
        calls = message.get("tool_calls")
        if not (calls is None or isinstance(calls, list)):
            _refuse(f"{where}.tool_calls must be a list", f"{where}.tool_calls")
        _check_content(message.get("content"), f"{where}.content")
    tools = body.get("tools")
    if not (tools is None or isinstance(tools, list)):
        _refuse("tools must be a list", "tools")
    _check_limits(body, "chat")


def _check_content(content: Any, where: str) -> None:
    if content is None or isinstance(content, str):
        return  # null stands beside tool calls
    if not isinstance(content, list):
        _refuse(f"{where} must be a string or a list of parts", where)
    for index, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            _refuse(f"{where}[{index}] must be an object with a type", f"{where}[{index}]")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            _refuse(f"{where}[{index}].text must be a string", f"{where}[{index}].text")


def _check_texts(value: Any, where: str) -> None:
    """A text, texts, the token ids of one, or those of several."""
    if isinstance(value, str):
        return
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value) or _are_token_ids(value):
            return
        if all(isinstance(item, list) and item and _are_token_ids(item) for item in value):
            return
    _refuse(
        f"{where} must be a string, a list of strings, a list of token ids, or a list of such "
        "lists; lists must not be empty",
        where,
    )


def _check_limits(body: Mapping[str, Any], endpoint: Endpoint) -> None:
    for name in _LIMITS[endpoint]:
        value = body.get(name)
        if not (value is None or _is_integer(value, 0, float("inf"))):
            _refuse(f"{name} must be an integer, 0 or more", name)


def _take_knobs(body: dict[str, Any]) -> dict[str, Any]:
    """Remove our own fields from a body; give those that were there, checked."""
    knobs = {}
    for name in KNOBS:
        if name in body:
            knobs[name] = value = body.pop(name)
            if value is None:
                continue
            if name == "models":
                knobs[name] = _allow_list(value)
                continue
            highest = MAX_COST if name == "max_cost" else 1
            if not _is_number(value, 0, highest):
                _refuse(f"{name} must be a number from 0 to {highest:g}", name)
    return knobs


def _allow_list(value: Any) -> tuple[str, ...]:
    if (
        not isinstance(value, list)
        or not 0 < len(value) <= MAX_ALLOWED_MODELS
        or not all(isinstance(item, str) and item for item in value)
    ):
        _refuse(f"models must be a list of 1 to {MAX_ALLOWED_MODELS} non-empty strings", "models")
    if sum(not _WILDCARDS.isdisjoint(item) for item in value) > MAX_WILDCARDS:
        _refuse(f"models may hold {MAX_WILDCARDS} patterns with wildcards", "models")
    return tuple(value)


def _is_number(value: Any, low: float, high: float) -> bool:
    return type(value) in (int, float) and low <= value <= high


def _is_integer(value: Any, low: float, high: float) -> bool:
    # JSON Schema, and so our document, takes 2.0 for an integer.
    return _is_number(value, low, high) and value == int(value)


def _are_token_ids(values: list[Any]) -> bool:
    if set(map(type, values)) == {int}:  # a million of them in 20 ms, one by one in 300 ms
        return min(values) >= 0
    return all(_is_integer(value, 0, float("inf")) for value in values)


def _refuse(message: str, param: str | None) -> NoReturn:
    raise ApiError(400, message, param=param)
