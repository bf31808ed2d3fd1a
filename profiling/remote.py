"""A candidate behind an OpenAI-compatible URL becomes a stage of Ray Data that answers rows.

The only module that names the ``openai`` client, which retries with back-off and heeds
``Retry-After``. Requests go to the candidate's URL alone: no proxy that the environment names, no
redirection, no header but the client's own and the key that the zoo names.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from modelsat.aptitude.prompts import Prompts, request_fields
from modelsat.errors import ZooError
from modelsat.zoo.engines.openai import OpenAICandidate
from profiling.checkpoint import GRADED, Checkpoint
from profiling.config import RemoteConfig
from profiling.keeping import BatchKeeper, Row

if TYPE_CHECKING:
    import openai
    from ray.data import Dataset

REPLICA_CPUS = 0.25  # share of a logical CPU; a replica waits for its endpoint most of the time

_CONNECT_TIMEOUT_S = 10.0
# What is wrong with the whole candidate, whichever question is asked: the key, the account, the
# model's name. A 403 is not among them: some providers refuse single prompts so.
_FATAL_STATUSES = frozenset({401, 402, 404})
_FATAL_CODES = frozenset({"insufficient_quota"})
_BUSY_STATUSES = frozenset({408, 409, 429})
_NO_KEY = "none"  # the client insists on one; it is not sent
_NO_COMPLETION = "what came is no chat completion"
_UNANSWERED = -1  # engine_request of a failed row


def ask_remotely(
    questions: "Dataset",
    candidate: OpenAICandidate,
    *,
    limits: RemoteConfig,
    replicas: tuple[int, int],
    batch_size: int,
    num_batches: int,
    max_new_tokens: int,
    prompts: Prompts,
    finish: Callable[[Row], Row],
    checkpoint: Checkpoint,
) -> "Dataset":
    """Ask a URL every question; one that cannot be answered becomes a failed row.

    Args:
        questions: rows with question_id, task, prompt, answer, n_choices; one block per batch.
        candidate: who answers.
        limits: how hard its URL may be asked.
        replicas: least and most processes that share the rows, each with its own connections.
        batch_size: rows per batch.
        num_batches: batches that one replica works on at once.
        max_new_tokens: most tokens of one answer.
        prompts: how questions are put.
        finish: makes the row to keep; see ``BatchKeeper``.
        checkpoint: where finished rows are kept.

    Returns:
        Rows as ``finish`` makes them, in any order.
    """
    from ray.data import ActorPoolStrategy

    return questions.map_batches(
        RemoteReplica,
        fn_constructor_kwargs={
            "candidate": candidate,
            "limits": limits,
            "replicas": replicas[1],
            "block_size": batch_size * num_batches,
            "max_new_tokens": max_new_tokens,
            "prompts": prompts,
            "keeper": BatchKeeper(num_batches, finish, checkpoint),
        },
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(min_size=replicas[0], max_size=replicas[1]),
        max_concurrency=num_batches,
        num_cpus=REPLICA_CPUS,
    )


class RemoteReplica:
    """One replica's part of the stage; Ray Data makes one in each of its actors.

    Args:
        candidate: who answers.
        limits: how hard its URL may be asked.
        replicas: how many replicas at most share ``limits.requests_per_minute``.
        block_size: most questions that the replica works on at once.
        max_new_tokens: most tokens of one answer.
        prompts: how questions are put.
        keeper: of this replica's batches.

    Raises:
        ZooError: the key is missing.
    """

    def __init__(
        self,
        candidate: OpenAICandidate,
        limits: RemoteConfig,
        replicas: int,
        block_size: int,
        max_new_tokens: int,
        prompts: Prompts,
        keeper: BatchKeeper,
    ) -> None:
        self._keeper = keeper
        self._endpoint = Endpoint(
            open_client(candidate, limits, replicas),
            candidate,
            concurrency=limits.concurrency,
            fields=request_fields(limits.request_fields, max_new_tokens),
            prompts=prompts,
            max_lost=block_size,
        )

    async def __call__(self, batch: pa.Table) -> pa.Table:
        """Graded rows, a table ``GRADED``, of a batch of questions."""
        kept = await self._keeper.keep(batch.to_pylist(), self._endpoint.answer)
        return pa.Table.from_pylist(kept, schema=GRADED.arrow)


class Endpoint:
    """Asks a candidate's URL and tells what is wrong with a question from what is wrong with it.

    Args:
        client: from :func:`open_client`; closed by whoever opened it.
        candidate: who answers.
        concurrency: most requests open at once.
        fields: of each request's body, beside model and messages.
        prompts: how questions are put.
        max_lost: questions in a row that may stay without an answer for the URL's sake.
    """

    def __init__(
        self,
        client: "openai.AsyncOpenAI",
        candidate: OpenAICandidate,
        *,
        concurrency: int,
        fields: dict[str, Any],
        prompts: Prompts,
        max_lost: int,
    ) -> None:
        self._client = client
        self._candidate = candidate
        self._fields = fields
        self._prompts = prompts
        self._headers = _headers(client.api_key)
        self._places = asyncio.Semaphore(concurrency)
        self._max_lost = max_lost
        self._num_lost = 0  # questions in a row that the URL left without an answer
        self._num_answered = 0

    async def answer(self, rows: Sequence[Row]) -> list[Row]:
        """The rows with the columns that a ``BatchKeeper`` asks for, in the same order.

        Raises:
            ZooError: the URL refuses the candidate whatever is asked, or has left more than
                ``max_lost`` questions in a row without an answer.
        """
        return await asyncio.gather(*(self._ask(row) for row in rows))

    async def _ask(self, row: Row) -> Row:
        import openai

        messages: Any = self._prompts.messages(row["task"], row["prompt"])
        async with self._places:
            try:
                completion = await self._client.chat.completions.create(
                    model=self._candidate.model,
                    messages=messages,
                    extra_headers=self._headers,
                    extra_body=self._fields,
                )
            except openai.APIStatusError as error:
                reason = f"HTTP status {error.status_code}: {_message(error)}"
                if error.status_code in _FATAL_STATUSES or error.code in _FATAL_CODES:
                    raise self._failure(f"refuses every question ({reason})") from None
                is_lost = error.status_code in _BUSY_STATUSES or error.status_code >= 500
                return self._failed(row, reason, is_lost=is_lost)
            except openai.APITimeoutError:
                return self._failed(row, "no answer within request_timeout_s", is_lost=True)
            except openai.OpenAIError as error:
                cause = f" ({error.__cause__})" if error.__cause__ else ""
                return self._failed(row, f"{error}{cause}", is_lost=True)
            except ValueError:  # no JSON
                return self._failed(row, _NO_COMPLETION, is_lost=True)
        answered = _read(completion)
        if answered is None:
            return self._failed(row, _NO_COMPLETION, is_lost=True)
        self._num_lost = 0
        number = self._num_answered
        self._num_answered += 1
        return {**row, **answered, "engine_request": number, "error": ""}

    def _failed(self, row: Row, reason: str, *, is_lost: bool) -> Row:
        """A row without an answer, for the URL's sake (``is_lost``) or the question's."""
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
        requests_per_minute: of all replicas, which share it evenly; None: any number.
        replicas: how many.
        clock: seconds, rising.
        sleep: waits so many seconds.
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
        """Return when the next request may go out."""
        now_s = self._clock()
        start_s = max(now_s, self._next_s)
        self._next_s = start_s + self._interval_s
        if start_s > now_s:
            await self._sleep(start_s - now_s)


def open_client(
    candidate: OpenAICandidate, limits: RemoteConfig, replicas: int
) -> "openai.AsyncOpenAI":
    """A client for one of so many replicas, which keeps its share of the pace.

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

    # What the client would take from the environment is for OpenAI's own URL.
    omitted = ["OpenAI-Organization", "OpenAI-Project"]
    omitted += ["Authorization"] if key == _NO_KEY else []
    return {"User-Agent": "model-sat", **{name: openai.Omit() for name in omitted}}


def _read(completion: Any) -> Row | None:
    """The neutral columns of a chat completion; None if it is something else.

    The client takes whatever JSON comes and checks no type.
    """
    try:
        text = completion.choices[0].message.content
        usage = completion.usage
        counts = {
            name: getattr(usage, name) if usage else None
            for name in ("prompt_tokens", "completion_tokens")
        }
    except (AttributeError, TypeError, LookupError):
        return None
    is_right = isinstance(text, str | None)
    is_right &= all(isinstance(count, int | None) for count in counts.values())
    return {"output": text or "", **counts} if is_right else None


def _message(error: "openai.APIStatusError") -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return str(message or error.message)
