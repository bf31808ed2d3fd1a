"""Candidates behind an OpenAI-compatible URL: requests of a Ray Data stage.

The only module that names the ``openai`` client, which retries with back-off and obeys
``Retry-After``. Requests go to the candidate's URL alone: proxies of the environment are ignored,
redirections are not followed, and no header is sent but the client's own and the key that the zoo
names.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from modelsat.aptitude.own_requests import can_answer
from modelsat.aptitude.prompts import Prompts, request_fields
from modelsat.chats import message_text
from modelsat.errors import ZooError
from modelsat.grading.graders import grader_name
from modelsat.zoo.engines.openai import OpenAICandidate
from profiling.checkpoint import GRADED
from profiling.config import RemoteConfig
from profiling.engines.protocol import ProfilingEngine
from profiling.job import CandidateJob, Finish, Row
from profiling.keeping import BatchKeeper

if TYPE_CHECKING:
    import openai
    from ray.data import Dataset

_REPLICA_CPUS = 0.25  # CPU share; a replica waits for its URL most of the time
_CONNECT_TIMEOUT_S = 10.0
# Errors about the whole candidate, whatever the question: the key, the account, the model's name.
# Not 403: some providers refuse single prompts with it.
_FATAL_STATUSES = frozenset({401, 402, 404})
_FATAL_CODES = frozenset({"insufficient_quota"})
_BUSY_STATUSES = frozenset({408, 409, 429})
_QUOTED_CHARS = 12
_NO_KEY = "none"  # the client insists on a key; this one is not sent
_NO_COMPLETION = "the response is not a chat completion"
_UNANSWERED = -1  # engine_request of a failed row


class Engine(ProfilingEngine):
    """Processes that send requests to one candidate's URL, each a stage actor of Ray Data.

    Args:
        candidate: its URL, model name and key.
    """

    def __init__(self, candidate: OpenAICandidate) -> None:
        self._candidate = candidate

    def check(self, prompts: Prompts) -> None:
        """Check that questions are put as chats and answers are generated.

        Raises:
            ZooError: they are not.
        """
        if not prompts.chat_template or prompts.scoring != "generated":
            raise ZooError(
                f"candidate {self._candidate.name!r} answers chats at a URL, which returns no "
                "likelihoods of options and takes no plain text; profile it with "
                "prompt.chat_template: true and prompt.scoring: generated, or leave it out with "
                "candidates: [...]"
            )

    def reads(self, row: Mapping[str, Any]) -> bool:
        """Return whether the zoo file says so; images and sound are sent as they are."""
        return can_answer(self._candidate, row)

    def hashed_settings(self, limits: RemoteConfig) -> Mapping[str, Any]:
        """Return the fields that requests carry beside ours."""
        return {"request_fields": limits.request_fields}

    def replica_resources(self) -> dict[str, float]:
        """Return a share of a CPU."""
        return {"CPU": _REPLICA_CPUS}

    def deadline_advice(self, num_replicas: int, has_answered: bool) -> str:
        """Return why the deadline may have passed and what to do about it."""
        return (
            f"{self._candidate.base_url} is too slow or does not answer; repair it, raise "
            "candidate_deadline_s or its remote.concurrency"
        )

    def answer(self, questions: "Dataset", job: CandidateJob, finish: Finish) -> "Dataset":
        """Return the dataset of answers; see :class:`ProfilingEngine`."""
        from ray.data import ActorPoolStrategy

        return questions.map_batches(
            UrlReplica,
            fn_constructor_kwargs={
                "candidate": self._candidate,
                "limits": job.limits,
                "replicas": job.replicas[1],
                "block_size": job.batch_size * job.num_batches,
                "max_new_tokens": job.max_new_tokens,
                "prompts": job.prompts,
                "folders": job.folders,
                "keeper": BatchKeeper(job.num_batches, finish, job.checkpoint),
            },
            batch_size=None,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(min_size=job.replicas[0], max_size=job.replicas[1]),
            max_concurrency=job.num_batches,
            num_cpus=_REPLICA_CPUS,
        )


class UrlReplica:
    """One replica of the stage; Ray Data makes one in each of its actors.

    Args:
        candidate: the candidate that answers.
        limits: rate limits of its URL.
        replicas: most replicas that share ``limits.requests_per_minute``.
        block_size: most questions that the replica works on at once.
        max_new_tokens: most tokens of one answer, by the name of the question's grader.
        prompts: how questions are put.
        folders: folders of the questions tables, for images.
        keeper: bounds and writes this replica's batches.

    Raises:
        ZooError: the key is missing.
    """

    def __init__(
        self,
        candidate: OpenAICandidate,
        limits: RemoteConfig,
        replicas: int,
        block_size: int,
        max_new_tokens: Mapping[str, int],
        prompts: Prompts,
        folders: Sequence[str],
        keeper: BatchKeeper,
    ) -> None:
        self._keeper = keeper
        self._endpoint = Endpoint(
            open_client(candidate, limits, replicas),
            candidate,
            concurrency=limits.concurrency,
            fields=limits.request_fields,
            max_new_tokens=max_new_tokens,
            prompts=prompts,
            folders=folders,
            max_lost=block_size,
        )

    async def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the graded rows of a batch of questions, a table ``GRADED``."""
        kept = await self._keeper.keep(batch.to_pylist(), self._endpoint.answer)
        return pa.Table.from_pylist(kept, schema=GRADED.arrow)


class Endpoint:
    """Sends questions to a candidate's URL; separates failures of a question from those of the URL.

    Args:
        client: from :func:`open_client`; the caller closes it.
        candidate: the candidate that answers.
        concurrency: most requests open at once.
        fields: fields of each request's body beside ours and those of the candidate's
            generation; a null value removes a field.
        max_new_tokens: most tokens of one answer, by the name of the question's grader.
        prompts: how questions are put.
        folders: folders of the questions tables, for images.
        max_lost: most questions in a row that may fail because of the URL.
    """

    def __init__(
        self,
        client: "openai.AsyncOpenAI",
        candidate: OpenAICandidate,
        *,
        concurrency: int,
        fields: dict[str, Any],
        max_new_tokens: Mapping[str, int],
        prompts: Prompts,
        max_lost: int,
        folders: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._candidate = candidate
        own = {**candidate.generation.request_fields, **fields}
        self._fields = {
            grader: request_fields(own, number) for grader, number in max_new_tokens.items()
        }
        self._prompts = prompts
        self._folders = folders
        self._headers = _headers(client.api_key)
        self._slots = asyncio.Semaphore(concurrency)
        self._max_lost = max_lost
        self._num_lost = 0  # failures of the URL in a row
        self._num_answered = 0

    async def answer(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows with the columns that ``BatchKeeper`` needs, in the same order.

        Raises:
            ZooError: the URL refuses every request of the candidate, or has failed to answer
                more than ``max_lost`` questions in a row.
        """
        return await asyncio.gather(*(self._ask(row) for row in rows))

    async def _ask(self, row: Row) -> Row:
        import openai

        chat: Any = self._prompts.chat(row, self._folders)
        own = {name: value for name, value in chat.items() if name != "messages"}
        async with self._slots:
            try:
                completion = await self._client.chat.completions.create(
                    model=self._candidate.model,
                    messages=chat["messages"],
                    extra_headers=self._headers,
                    extra_body={**self._fields[grader_name(row)], **own},
                )
            except openai.APIStatusError as error:
                said = _message(error)
                if _quotes(said, chat["messages"]):  # prompts may be private
                    said = "(its message quotes the prompt)"
                reason = f"HTTP status {error.status_code}: {said}"
                if error.status_code in _FATAL_STATUSES or error.code in _FATAL_CODES:
                    raise self._failure(f"refuses every question ({reason})") from None
                is_lost = error.status_code in _BUSY_STATUSES or error.status_code >= 500
                return self._failed(row, reason, is_lost=is_lost)
            except openai.APITimeoutError:
                return self._failed(row, "no answer within request_timeout_s", is_lost=True)
            except openai.OpenAIError as error:
                cause = f" ({error.__cause__})" if error.__cause__ else ""
                return self._failed(row, f"{error}{cause}", is_lost=True)
            except ValueError:  # not JSON
                return self._failed(row, _NO_COMPLETION, is_lost=True)
        answered = _read(completion)
        if answered is None:
            return self._failed(row, _NO_COMPLETION, is_lost=True)
        self._num_lost = 0
        number = self._num_answered
        self._num_answered += 1
        return {**row, **answered, "engine_request": number, "error": ""}

    def _failed(self, row: Row, reason: str, *, is_lost: bool) -> Row:
        """Return a row without an answer, because of the URL (``is_lost``) or the question."""
        reason = self._without_key(reason)
        self._num_lost = self._num_lost + 1 if is_lost else 0
        if self._num_lost > self._max_lost:
            raise self._failure(f"left {self._num_lost} questions in a row unanswered: {reason}")
        return {**row, "engine_request": _UNANSWERED, "error": reason}

    def _failure(self, reason: str) -> ZooError:
        name, url = self._candidate.name, self._candidate.base_url
        return ZooError(f"candidate {name!r}: {url} {self._without_key(reason)}")

    def _without_key(self, text: str) -> str:
        key = self._client.api_key
        return text if key == _NO_KEY else text.replace(key, "***")


class Pace:
    """Spaces the requests of one replica evenly, retries included.

    Args:
        requests_per_minute: limit for all replicas together, shared evenly; None: no limit.
        replicas: number of replicas.
        clock: monotonic time, seconds.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        requests_per_minute: float | None,
        replicas: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval_s = 60 * replicas / requests_per_minute if requests_per_minute else 0.0
        self._clock = clock
        self._sleep = sleep
        self._next_s = 0.0

    async def wait(self, _request: Any = None) -> None:
        """Wait until the next request may be sent."""
        now_s = self._clock()
        start_s = max(now_s, self._next_s)
        self._next_s = start_s + self._interval_s
        if start_s > now_s:
            await self._sleep(start_s - now_s)


def open_client(
    candidate: OpenAICandidate, limits: RemoteConfig, replicas: int
) -> "openai.AsyncOpenAI":
    """Return the client of one replica, which keeps its share of the rate limit.

    Raises:
        ZooError: the key is missing.
    """
    import openai

    key = candidate.read_api_key()
    pace = Pace(limits.requests_per_minute, replicas)
    return openai.AsyncOpenAI(
        base_url=candidate.base_url,
        api_key=key or _NO_KEY,
        max_retries=limits.max_retries,
        http_client=openai.DefaultAsyncHttpxClient(
            timeout=openai.Timeout(limits.request_timeout_s, connect=_CONNECT_TIMEOUT_S),
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
            event_hooks={"request": [pace.wait]},
        ),
    )


def _headers(key: str) -> Any:
    import openai

    # The client would take these from the environment, where they are meant for OpenAI itself.
    omitted = ["OpenAI-Organization", "OpenAI-Project"]
    omitted += ["Authorization"] if key == _NO_KEY else []
    return {"User-Agent": "model-sat", **{name: openai.Omit() for name in omitted}}


def _read(completion: Any) -> Row | None:
    """Return the answer columns of a chat completion; None if it is something else.

    The client accepts any JSON and checks no type. Calls of tools become part of the text.
    """
    try:
        message = completion.choices[0].message
        text = message.content
        calls = message.tool_calls
        finish_reason = completion.choices[0].finish_reason
        usage = completion.usage
        counts = {
            name: getattr(usage, name) if usage else None
            for name in ("prompt_tokens", "completion_tokens")
        }
    except (AttributeError, TypeError, LookupError):
        return None
    is_right = isinstance(text, str | None) and isinstance(finish_reason, str | None)
    is_right &= isinstance(calls, list | None)
    is_right &= all(isinstance(count, int | None) for count in counts.values())
    if not is_right:
        return None
    if calls:
        text = "\n".join(filter(None, [text, _calls_text(calls)]))
    return {"output": text or "", "finish_reason": finish_reason, **counts}


def _calls_text(calls: Any) -> str:
    """Return calls of tools as the JSON that the grader ``tool_call`` reads."""
    plain = [call.model_dump() if hasattr(call, "model_dump") else call for call in calls]
    return json.dumps({"tool_calls": plain}, default=str)


def _quotes(said: str, messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a text repeats so many characters of a chat that it quotes it."""
    for message in messages:
        text = message_text(message).strip()
        starts = range(max(1, len(text) - _QUOTED_CHARS + 1))
        if text and any(text[i : i + _QUOTED_CHARS] in said for i in starts):
            return True
    return False


def _message(error: "openai.APIStatusError") -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return str(message or error.message)
