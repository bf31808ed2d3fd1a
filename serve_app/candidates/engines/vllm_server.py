"""One replica of a vLLM candidate: Ray's LLM server that takes JSON and yields text.

The only module of this application that imports vLLM; only the candidate's own processes load it.
"""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, get_args

from pydantic import ValidationError
from ray.serve.llm import LLMServer
from ray.serve.llm.openai_api_models import (
    ChatCompletionRequest,
    CompletionRequest,
    EmbeddingRequest,
)
from vllm.exceptions import VLLMClientError

from modelsat.processes import end_with_this_process
from modelsat.zoo.candidate import Endpoint
from serve_app.candidates.engine_errors import engine_error
from serve_app.candidates.wire import wire_parts
from serve_app.contracts.errors import ApiError

_ENGINE_START_TIMEOUT_S = 3600  # Ray's own default; `startup_timeout_s` ends a start earlier
# Errors that vLLM's own HTTP server answers with 400, pydantic's (ValueErrors) included.
_REFUSALS = (VLLMClientError, ValueError, TypeError, OverflowError)
_EMBED_TEXTS, _EMBED_CONVERSATION = get_args(EmbeddingRequest)
_WARM_UP_REQUESTS: tuple[tuple[Endpoint, dict[str, Any]], ...] = (
    ("chat", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}),
    ("completions", {"prompt": "Hello", "max_tokens": 2}),  # models without a chat template
    ("embeddings", {"input": "Hello"}),
)


class CandidateServer(LLMServer):
    """Answers OpenAI requests: JSON mappings in, strings out."""

    async def start(self) -> None:
        """Start the engine and answer one request, so that no client waits for the first.

        Does the same as the base class except for two steps that each start a process which
        imports vLLM (12 CPU-seconds and 0.7 GB): the telemetry actor and, for a local model
        directory, the download task, which has nothing to download.
        """
        self._num_ongoing = 0
        loading = self._llm_config.model_loading_config
        if str(loading.model_source).startswith("/"):
            self._llm_config.get_or_create_callback().ctx.run_init_node = False
        self.engine = _without_worker_process(self._engine_cls)(self._llm_config)
        await asyncio.wait_for(self.engine.start(), timeout=_ENGINE_START_TIMEOUT_S)
        children = multiprocessing.active_children()
        self._end = end_with_this_process(child.pid for child in children if child.pid)
        for endpoint, request in _WARM_UP_REQUESTS:
            status, *_body = [part async for part in self.answer(endpoint, request)]
            if status == "200":
                return

    async def answer(self, endpoint: Endpoint, body: dict[str, Any]) -> AsyncGenerator[str, None]:
        """Answer a request.

        Args:
            endpoint: which of OpenAI's endpoints.
            body: OpenAI's JSON object; its ``model`` is ignored.

        Yields:
            First the HTTP status as text, then the body: server-sent events if the request asks
            for a stream, otherwise one JSON document.
        """
        self._num_ongoing += 1
        try:
            async with (
                aclosing(self._run(endpoint, body)) as answers,
                aclosing(wire_parts(answers, body)) as parts,
            ):
                async for part in parts:
                    yield part
        finally:
            self._num_ongoing -= 1

    async def num_ongoing_requests(self) -> int:
        """Requests that this replica is working on."""
        return self._num_ongoing

    async def _run(self, endpoint: Endpoint, body: dict[str, Any]) -> AsyncGenerator[Any, None]:
        """Yield the engine's items; a refusal is one ApiError."""
        embed = _EMBED_CONVERSATION if "messages" in body else _EMBED_TEXTS
        method, kind = {
            "chat": (self.chat, ChatCompletionRequest),
            "completions": (self.completions, CompletionRequest),
            "embeddings": (self.embeddings, embed),
        }[endpoint]
        try:
            request = kind.model_validate({**body, "model": self._llm_config.model_id})
            async with aclosing(await method(request)) as answers:
                async for items in answers:
                    for item in items if isinstance(items, list) else [items]:
                        yield item
        except _REFUSALS as error:
            yield _refusal(error, body)


def _without_worker_process(engine: Any) -> Any:
    """Return Ray's engine class, changed: on a CPU the model runs in vLLM's engine process.

    Ray has vLLM start one more process, to pin the worker's threads: 13 CPU-seconds and 0.6 GB.
    """

    class CandidateEngine(engine):  # type: ignore[misc]
        def _prepare_engine_config(self, callback_ctx: Any) -> Any:
            arguments, frontend, config = super()._prepare_engine_config(callback_ctx)
            parallel = config.parallel_config
            pins_no_thread = os.environ.get("VLLM_CPU_OMP_THREADS_BIND") == "nobind"
            is_one_worker = (parallel.distributed_executor_backend, parallel.world_size) == (
                "mp",
                1,
            )
            if pins_no_thread and is_one_worker:
                parallel.distributed_executor_backend = "uni"
            return arguments, frontend, config

    return CandidateEngine


def _refusal(error: Exception, body: dict[str, Any]) -> ApiError:
    if not isinstance(error, ValidationError):
        # vLLM's own text appends the refused value, which is the client's text.
        message = str(error.args[0]) if error.args else "the request cannot be answered"
        return engine_error(400, message, getattr(error, "parameter", None), body)
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # A failing branch of a union adds its name to the location; the first key is the field.
    field = str(first["loc"][0]) if first["loc"] else None
    message = f"{field}: {first['msg']}" if field else str(first["msg"])
    return engine_error(400, message, field, body)
