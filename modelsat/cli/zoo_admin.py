"""The administration of a running endpoint's zoo, as ``modelsat zoo`` asks for it."""

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
from modelsat.zoo.zoo_file import load_zoo

_CONNECT_TIMEOUT_S = 10
_ANSWER_TIMEOUT_S = 3600  # an engine may take many minutes to start
# Ray Serve ends every request after the time of one that asks models, unless it says otherwise.
_TIMEOUT_HEADER = {"x-request-timeout-seconds": str(_ANSWER_TIMEOUT_S)}
_ERRORS: dict[str, type[ModelSatError]] = {
    "artifact_error": ArtifactError,
    "config_error": ConfigError,
    "zoo_error": ZooError,
}
_CARDS_FILE = "cards.parquet"  # what `modelsat profile` calls it, in its output_dir


class AdminClient:
    """Asks ``/admin/zoo`` of one endpoint."""

    def __init__(self, url: str, key_env: str) -> None:
        """Take the endpoint's address and the name of the variable that holds the admin key.

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
                f"the environment variable {key_env} is not set; put the endpoint's admin key "
                "there, or name another variable with --key-env"
            )
        self._base = url.rstrip("/").removesuffix("/v1") + "/admin/zoo"
        self._key, self._key_env = key, key_env
        # A proxy of the environment cannot reach this machine's own addresses.
        self._trust_env = not _is_loopback(parsed.host)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            ModelSatError: the endpoint's own error, of the same kind as there.
            MachineError: nobody answers, or not as Model-SAT does.
        """
        timeout = httpx.Timeout(_ANSWER_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        try:
            with httpx.Client(timeout=timeout, trust_env=self._trust_env) as client:
                answer = client.request(
                    method,
                    self._base + path,
                    headers={"Authorization": f"Bearer {self._key}", **_TIMEOUT_HEADER},
                    json=body,
                )
        except (httpx.HTTPError, UnicodeEncodeError) as error:
            raise MachineError(
                f"{self._base} cannot be reached: {error or type(error).__name__}; start the "
                "endpoint with `modelsat serve`, or give its address with --url"
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
                f"{self._base} answers {answer.status_code} and not as Model-SAT does; give the "
                "address of its endpoint with --url"
            ) from None
        if answer.status_code == 404:
            message = (
                f"{self._base} does not exist; the endpoint serves it when its configuration "
                "names a file of keys (security.keys) that holds an admin key"
            )
        elif answer.status_code in (401, 403):
            message = (
                f"{self._base} refuses the key: {message}; put an admin key in {self._key_env}"
            )
            raise ConfigError(message)
        raise _ERRORS.get(code, MachineError)(message)


def entry_document(zoo: Path, name: str) -> dict[str, Any]:
    """Return the entry of a candidate as JSON, with absolute paths.

    Raises:
        ZooError: the zoo file is refused, or does not hold the candidate or its model.
    """
    candidate = load_zoo(zoo).get(name)
    candidate.check_source()
    return candidate.model_dump(mode="json", exclude_unset=True)


def card_document(cards: Path, name: str) -> dict[str, Any]:
    """The card of a candidate, as JSON.

    Raises:
        ArtifactError: the file is not a cards artifact.
        ZooError: it holds no card of the candidate.
    """
    (card,) = select_cards(read_cards(cards), [name])
    return {
        "candidate": card.candidate,
        "card_version": card.card_version,
        "tasks_hash": card.tasks_hash,
        "statements": [vars(statement) for statement in card.statements],
        "notes": card.notes,
        "provenance": card.provenance,
    }


def profiled_cards(config: Path, zoo: Path, name: str, echo: Callable[[str], None]) -> Path:
    """Let one candidate sit the aptitude test; what it has done before is kept.

    Args:
        config: configuration of ``modelsat profile``; zoo and candidates are overridden.
        zoo: zoo file.
        name: candidate.
        echo: receives lines of progress.

    Returns:
        The cards artifact it wrote.

    Raises:
        ConfigError: the configuration names no output_dir or no task set.
        CommandError: the command failed; carries its exit code.
    """
    values = read_yaml_mapping(config)
    for key in ("output_dir", "tasks"):
        if not isinstance(values.get(key), str):
            raise ConfigError(f"{config} states no {key}, so no card would be written; add it")
    # A folder of its own: a run writes the merged tables of its own candidates only.
    output_dir = Path(values["output_dir"]) / "added" / load_zoo(zoo).get(name).slug
    overrides = {"zoo": str(zoo), "candidates": [name], "output_dir": str(output_dir)}
    # JSON is YAML, whatever stands in a name.
    options = [p for k, v in overrides.items() for p in ("--set", f"{k}={json.dumps(v)}")]
    run_command(["profile", "--config", str(config), *options], echo)
    return output_dir / _CARDS_FILE


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
