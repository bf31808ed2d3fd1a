"""HTTP client that sends questions to a live candidate, for ``modelsat cards drift``."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from modelsat.errors import ConfigError, MachineError, ZooError
from modelsat.progress import Progress
from modelsat.zoo.api_key import read_key
from modelsat.zoo.zoo_file import load_zoo

_CONNECT_TIMEOUT_S = 10
_CONCURRENCY = 4  # low, so that a check does not slow down real traffic
_BUSY_STATUSES = frozenset({408, 409, 429})
_TRIES = 4
_FIRST_PAUSE_S = 0.5  # doubles with every retry


@dataclass(frozen=True)
class LiveCandidate:
    """A candidate's chat completions endpoint.

    Attributes:
        base_url: URL without ``/chat/completions``.
        model: the candidate's model name at this URL.
        key: bearer token; None sends no token.
    """

    base_url: str
    model: str
    key: str | None

    def ask_all(
        self,
        chats: Sequence[Sequence[Mapping[str, Any]]],
        *,
        fields: Mapping[str, Any],
        timeout_s: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> list[str | None]:
        """Return the answers to chats, in order; None for failed requests.

        Args:
            chats: messages of each chat.
            fields: further fields of each request's body, besides model and messages.
            timeout_s: read timeout of a request, seconds.
            pause: sleeps for a number of seconds.

        Raises:
            MachineError: the endpoint cannot be reached, or rejects the key or the model name.
        """

        def ask(chat: Sequence[Mapping[str, Any]]) -> str | None:
            body = {"model": self.model, "messages": list(chat), **fields}
            return self._ask(client, body, pause)

        # Requests go only to this URL: no proxy, no redirects.
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S)
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        with (
            httpx.Client(timeout=timeout, headers=headers, trust_env=False) as client,
            ThreadPoolExecutor(_CONCURRENCY) as threads,
            Progress("ask the candidate", len(chats), "questions") as progress,
        ):
            answers = []
            for answer in threads.map(ask, chats):
                answers.append(answer)
                progress.advance()
            return answers

    def _ask(
        self, client: httpx.Client, body: dict[str, Any], pause: Callable[[float], None]
    ) -> str | None:
        for attempt in range(_TRIES):
            if attempt:
                pause(_FIRST_PAUSE_S * 2 ** (attempt - 1))
            try:
                answer = client.post(f"{self.base_url}/chat/completions", json=body)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise MachineError(
                    f"{self.base_url} cannot be reached: {error or type(error).__name__}; start "
                    "the endpoint, or give another address"
                ) from None
            except httpx.HTTPError:
                continue
            if answer.status_code in _BUSY_STATUSES or answer.status_code >= 500:
                continue
            if answer.status_code in (401, 403, 404):
                raise MachineError(
                    f"{self.base_url} refuses model {self.model!r} with HTTP status "
                    f"{answer.status_code}; check the model's name and the key's variable"
                )
            return _text(answer)
        return None


def find_live_candidate(
    name: str, zoo: Path | None, url: str | None, key_env: str | None
) -> LiveCandidate:
    """Return where to send a candidate's requests: its own URL, or a Model-SAT endpoint.

    Args:
        name: the candidate.
        zoo: zoo file whose entry has the candidate's URL.
        url: an endpoint that serves the candidate under its name, instead of the zoo.
        key_env: environment variable with the key; None uses the entry's own key.

    Raises:
        ConfigError: not exactly one of zoo and url is given, or the URL is malformed.
        ZooError: the candidate is not in the zoo, its entry has no URL, or the environment
            variable is not set.
    """
    if (zoo is None) == (url is None):
        raise ConfigError(
            "pass either --zoo, for a candidate with its own URL, or --url, the endpoint that "
            "serves the candidate"
        )
    if zoo is not None:
        candidate = load_zoo(zoo).get(name)
        endpoint = candidate.http_endpoint
        if endpoint is None:
            raise ZooError(
                f"candidate {name!r} has no URL in {zoo}; serve it, and pass the endpoint with "
                "--url"
            )
        key = _read_key_or_none(key_env, "--key-env") or _read_key_or_none(
            endpoint.api_key_env, f"candidate {name!r}"
        )
        return LiveCandidate(endpoint.base_url, endpoint.model, key)
    try:
        parsed = httpx.URL(url or "")
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(f"--url {url!r} is not a URL; write it as http://HOST:PORT/v1")
    base_url = str(parsed).rstrip("/").removesuffix("/v1") + "/v1"
    return LiveCandidate(base_url, name, _read_key_or_none(key_env, "--key-env"))


def _read_key_or_none(variable: str | None, of: str) -> str | None:
    return None if variable is None else read_key(variable, of=of)


def _text(answer: httpx.Response) -> str | None:
    """Return the text of a chat completion, "" if it is empty; None for other answers."""
    try:
        content = answer.json()["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        return None
    # As in profiling, an empty answer is an answer, though a wrong one.
    return content or "" if answer.is_success and isinstance(content, str | None) else None
