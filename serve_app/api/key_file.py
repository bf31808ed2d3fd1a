"""The file of API keys: one entry per key, with the key's hash and never the key.

A plain SHA-256 is enough, because a key is 256 random bits and cannot be guessed; slow hashes are
for passwords. It costs 1 us per request.
"""

import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from modelsat.config import FrozenConfig, read_yaml_mapping
from modelsat.errors import ConfigError, MachineError
from modelsat.routing.admission import matching

Role = Literal["client", "admin"]

_PREFIX = "sk-modelsat-"  # lets secret scanners find a key that leaked
_KEY_BYTES = 32
_OWNER_ONLY = 0o600


class ApiKey(FrozenConfig):
    """One entry of the file.

    Attributes:
        name: name of the holder in logs and metrics.
        sha256: SHA-256 of the key, hexadecimal.
        role: ``client`` for inference; ``admin`` to change the zoo, and nothing else.
        models: shell patterns of the candidates it may use, named or chosen by routing; None:
            all. Every key may use the routing profiles.
        requests_per_minute: limit over all ingress replicas; None: no limit. Requests to
            ``/v1/models`` do not count.
    """

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    role: Role = "client"
    models: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    requests_per_minute: int | None = Field(default=None, ge=1)

    def permits(self, candidate: str) -> bool:
        """Whether it may use a candidate."""
        return self.models is None or bool(matching((candidate,), self.models))


class KeyFile(FrozenConfig):
    """A file of API keys."""

    keys: tuple[ApiKey, ...] = ()

    @field_validator("keys")
    @classmethod
    def _distinct(cls, keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        for what in ("name", "sha256"):
            values = [getattr(key, what) for key in keys]
            if len(set(values)) < len(values):
                raise ValueError(f"two keys have the same {what}; every key needs its own")
        return keys


def new_key() -> str:
    """Return a new key of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def hash_key(key: str) -> str:
    """Return the hash of a key, as the file holds it."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> KeyFile:
    """Read a file of keys.

    Raises:
        ConfigError: it is missing or malformed; the message names the file and the entry.
    """
    values = read_yaml_mapping(path)
    try:
        return KeyFile.model_validate(values)
    except ValidationError as error:
        # Without the refused values: one may be a key in the place of its hash.
        problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ConfigError(f"{path}: {'; '.join(problems)}") from None


def write_keys(path: Path, file: KeyFile) -> None:
    """Write a file of keys atomically; only its owner can read a new file.

    Raises:
        MachineError: it cannot be written.
    """
    entries = [key.model_dump(mode="json", exclude_defaults=True) for key in file.keys]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else _OWNER_ONLY
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(handle, "w", encoding="utf-8") as stream:
                yaml.safe_dump({"keys": entries}, stream, sort_keys=False)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise MachineError(
            f"cannot write {path}: {error.strerror}; give a path that can be written"
        ) from None
