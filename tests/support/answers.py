"""What an OpenAI-compatible server says: documents, chunks and errors. No network, no clock."""

import base64
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

Body = Mapping[str, Any]
_CREATED = 1_700_000_000
_EMBEDDING_SIZE = 8

ERROR_TYPES = {
    400: ("invalid_request_error", None),
    401: ("authentication_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    408: ("timeout_error", None),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


def error_document(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    kind, usual_code = ERROR_TYPES.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code or usual_code}}


def context_length_error(limit: int = 4096) -> dict[str, Any]:
    """OpenAI's 400 for a prompt beyond the model's context window."""
    document = error_document(
        400,
        f"This model's maximum context length is {limit} tokens. Please reduce the length of the "
        "messages.",
        "context_length_exceeded",
    )
    document["error"]["param"] = "messages"
    return document


def models_document(names: tuple[str, ...]) -> dict[str, Any]:
    """Answer of ``GET /v1/models``."""
    models = [
        {"id": name, "object": "model", "created": _CREATED, "owned_by": "fake"} for name in names
    ]
    return {"object": "list", "data": models}


def embeddings_document(body: Body) -> dict[str, Any]:
    """Answer of ``POST /v1/embeddings``: a vector per input that depends on nothing else."""
    inputs = body.get("input", "")
    if isinstance(inputs, str) or (inputs and isinstance(inputs[0], int)):
        inputs = [inputs]
    data = []
    for index, text in enumerate(inputs):
        seed = zlib.crc32(json.dumps(text).encode())
        vector: Any = [(seed >> shift) % 256 / 256 for shift in range(_EMBEDDING_SIZE)]
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{_EMBEDDING_SIZE}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = sum(count_words(text) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}


class Completion:
    """One answer to a chat or text completion, whole or as server-sent events."""

    def __init__(self, body: Body, *, chat: bool, server: str, num_tokens: int, number: int):
        """Decide what is said.

        Args:
            body: the request.
            chat: chat completion; else text completion.
            server: name of the server; every token says it, so a test sees who answered.
            num_tokens: tokens of the answer unless the request allows fewer.
            number: of the answer, for its id.
        """
        self._body, self._chat = body, chat
        allowed = body.get("max_completion_tokens") or body.get("max_tokens") or num_tokens
        self._cut = allowed < num_tokens
        self._wants_tool = bool(chat and body.get("tools") and body.get("tool_choice") != "none")
        kind = (body.get("response_format") or {}).get("type", "text")
        if kind != "text":
            self.tokens = ['{"server": ', json.dumps(server), "}"]
        else:
            self.tokens = [f"{server}-{i} " for i in range(min(allowed, num_tokens))]
        self._num_choices = body.get("n") or 1
        self._common = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{server}-{number}",
            "created": _CREATED,
            "model": body.get("model"),
            "system_fingerprint": server,
        }

    def document(self) -> dict[str, Any]:
        """The whole answer."""
        text = "".join(self.tokens)
        choices = []
        for index in range(self._num_choices):
            choice: dict[str, Any] = {"index": index, "logprobs": self._logprobs(self.tokens)}
            choice["finish_reason"] = self._finish_reason
            if not self._chat:
                choice["text"] = text
            elif self._wants_tool:
                call = self._tool_call()
                choice["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
            else:
                choice["message"] = {"role": "assistant", "content": text}
            choices.append(choice)
        kind = "chat.completion" if self._chat else "text_completion"
        return {**self._common, "object": kind, "choices": choices, "usage": self._usage()}

    def chunks(self) -> Iterator[dict[str, Any]]:
        """The answer as the documents of its events, without the final ``[DONE]``."""
        choices = range(self._num_choices)
        if self._chat:
            for index in choices:
                yield self._chunk(index, {"role": "assistant", "content": ""})
        if self._wants_tool:
            for index in choices:
                yield self._chunk(index, {"tool_calls": [{"index": 0, **self._tool_call()}]})
        else:
            for token in self.tokens:
                for index in choices:
                    yield self._chunk(index, {"content": token}, token)
        for index in choices:
            yield self._chunk(index, {}, finish_reason=self._finish_reason)
        if self._includes_usage:
            yield {
                **self._common,
                "object": self._chunk_kind,
                "choices": [],
                "usage": self._usage(),
            }

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        token: str | None = None,
        finish_reason: str | None = None,
    ) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": index, "finish_reason": finish_reason}
        choice["logprobs"] = self._logprobs([token]) if token is not None else None
        choice |= {"delta": delta} if self._chat else {"text": delta.get("content", "")}
        usage = {"usage": None} if self._includes_usage else {}
        return {**self._common, "object": self._chunk_kind, "choices": [choice], **usage}

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self._chat else "text_completion"

    @property
    def _includes_usage(self) -> bool:
        return bool((self._body.get("stream_options") or {}).get("include_usage"))

    @property
    def _finish_reason(self) -> str:
        return "tool_calls" if self._wants_tool else "length" if self._cut else "stop"

    def _tool_call(self) -> dict[str, Any]:
        function = {"name": self._body["tools"][0]["function"]["name"], "arguments": "{}"}
        return {"id": "call_0", "type": "function", "function": function}

    def _logprobs(self, tokens: list[str]) -> dict[str, Any] | None:
        if not self._body.get("logprobs"):
            return None
        if self._chat:
            entries = [
                {"token": t, "logprob": -0.5, "bytes": list(t.encode()), "top_logprobs": []}
                for t in tokens
            ]
            return {"content": entries, "refusal": None}
        offsets = [len("".join(tokens[:i])) for i in range(len(tokens))]
        return {
            "tokens": tokens,
            "token_logprobs": [-0.5] * len(tokens),
            "top_logprobs": None,
            "text_offset": offsets,
        }

    def _usage(self) -> dict[str, int]:
        messages = self._body.get("messages") if self._chat else self._body.get("prompt")
        prompt, answer = count_words(messages), len(self.tokens) * self._num_choices
        total = {"total_tokens": prompt + answer}
        return {"prompt_tokens": prompt, "completion_tokens": answer, **total}


def count_words(value: Any) -> int:
    """Words of a text, of messages or of a list of either."""
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, Mapping):
        return count_words(value.get("content", value.get("text", "")))
    if isinstance(value, list):
        return sum(count_words(item) for item in value)
    return int(isinstance(value, int))
