"""Client of the zoo administration of a running endpoint, for ``modelsat zoo``."""

import ipaddress
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httpx

from modelsat.capability.cards import read_cards, select_cards
from modelsat.command import run_command
from modelsat.config import read_yaml_mapping
from modelsat.errors import (
    ArtifactError,
    ConfigError,
    MachineError,
    ModelSatError,
    ZooError,
)
from modelsat.progress import Progress
from modelsat.zoo.zoo_file import load_zoo
from serve_app.contracts.headers import TIMEOUT_S

_CONNECT_TIMEOUT_S = 10
_ANSWER_TIMEOUT_S = 3600  # an engine may take many minutes to start
# Without this header Ray Serve applies the timeout of inference requests.
_TIMEOUT_HEADER = {TIMEOUT_S: str(_ANSWER_TIMEOUT_S)}
_ERRORS: dict[str, type[ModelSatError]] = {
    "artifact_error": ArtifactError,
    "config_error": ConfigError,
    "zoo_error": ZooError,
}
_CARDS_FILE = "cards.parquet"  # what `modelsat profile` calls it, in its output_dir


class AdminClient:
    """Client of an endpoint's ``/admin/zoo``."""

    def __init__(self, url: str, key_env: str) -> None:
        """Create a client from the endpoint's URL and the variable with the admin key.

        Raises:
            ConfigError: the address is not an http URL, or the variable is not set.
        """
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            parsed = httpx.URL("")
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ConfigError(f"--url {url!r} is not a URL; write it as http://HOST:PORT")
        key = os.environ.get(key_env)
        if not key:
            raise ConfigError(
                f"the environment variable {key_env} is not set; set it to the endpoint's admin "
                "key, or pass another variable with --key-env"
            )
        self._base = url.rstrip("/").removesuffix("/v1") + "/admin/zoo"
        self._key, self._key_env = key, key_env
        # A proxy from the environment cannot reach loopback addresses of this machine.
        self._trust_env = not _is_loopback(parsed.host)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its answer.

        Raises:
            ModelSatError: the endpoint's error, of the same type.
            MachineError: the endpoint cannot be reached, or is not a Model-SAT endpoint.
        """
        timeout = httpx.Timeout(_ANSWER_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        try:
            with (
                httpx.Client(timeout=timeout, trust_env=self._trust_env) as client,
                Progress("wait for the endpoint"),
            ):
                answer = client.request(
                    method,
                    self._base + path,
                    headers={"Authorization": f"Bearer {self._key}", **_TIMEOUT_HEADER},
                    json=body,
                )
        except (httpx.HTTPError, UnicodeEncodeError) as error:
            raise MachineError(
                f"{self._base} cannot be reached: {error or type(error).__name__}; start the "
                "endpoint with `modelsat serve`, or pass its URL with --url"
            ) from None
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            document = answer.json()
            if answer.is_success:
                return cast(dict[str, Any], document)
            code, message = document["error"]["code"], str(document["error"]["message"])
        except (ValueError, LookupError, TypeError):
            raise MachineError(
                f"{self._base} answered {answer.status_code}, but not like a Model-SAT endpoint; "
                "pass the endpoint's URL with --url"
            ) from None
        if answer.status_code == 404:
            message = (
                f"{self._base} does not exist; the endpoint serves it if its configuration "
                "has a key file (security.keys) with an admin key"
            )
        elif answer.status_code in (401, 403):
            message = (
                f"{self._base} rejects the key: {message}; set {self._key_env} to an admin key"
            )
            raise ConfigError(message)
        raise _ERRORS.get(code, MachineError)(message)


def entry_document(zoo: Path, name: str) -> dict[str, Any]:
    """Return the entry of a candidate as JSON, with absolute paths.

    Raises:
        ZooError: the zoo file is invalid, or the candidate or its model is missing.
    """
    candidate = load_zoo(zoo).get(name)
    candidate.check_source()
    return candidate.model_dump(mode="json", exclude_unset=True)


def card_document(cards: Path, name: str) -> dict[str, Any]:
    """Return the card of a candidate as JSON.

    Raises:
        ArtifactError: the file is not a cards artifact.
        ZooError: the candidate has no card in it.
    """
    (card,) = select_cards(read_cards(cards), [name])
    return card.as_row()


def profiled_cards(config: Path, zoo: Path, name: str, echo: Callable[[str], None]) -> Path:
    """Profile a candidate on the aptitude test; resumes an earlier run.

    Args:
        config: configuration of ``modelsat profile``; zoo and candidates are overridden.
        zoo: zoo file.
        name: candidate.
        echo: prints progress lines.

    Returns:
        Path of the new cards artifact.

    Raises:
        ConfigError: the configuration has no output_dir or no task set.
        CommandError: the command failed; has its exit code.
    """
    values = read_yaml_mapping(config)
    for key in ("output_dir", "tasks"):
        if not isinstance(values.get(key), str):
            raise ConfigError(f"{config} has no {key}, so no card would be written; add it")
    # A separate folder, since a run writes merged tables of only its own candidates.
    output_dir = Path(values["output_dir"]) / "added" / load_zoo(zoo).get(name).slug
    overrides = {"zoo": str(zoo), "candidates": [name], "output_dir": str(output_dir)}
    # JSON is valid YAML for any name.
    options = [p for k, v in overrides.items() for p in ("--set", f"{k}={json.dumps(v)}")]
    run_command(["profile", "--config", str(config), *options], echo)
    return output_dir / _CARDS_FILE


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
