"""Authentication and rate limits by API key."""

import hmac
import logging
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelsat.errors import ConfigError
from serve_app.api.key_file import ApiKey, Role, hash_key, read_keys
from serve_app.contracts.errors import ApiError
from serve_app.contracts.headers import AUTHORIZATION, WWW_AUTHENTICATE

_CHECK_INTERVAL_S = 1.0
_BEARER = re.compile(r"[Bb]earer +([!-~]+)")

_log = logging.getLogger("ray.serve.modelsat")


class KeyRing:
    """The API keys of a file, reloaded when it changes.

    A change takes effect within a second. If the file is missing or malformed, that is logged and
    the previous keys stay in use.
    """

    def __init__(
        self, path: Path, num_replicas: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the file.

        Args:
            path: file of keys.
            num_replicas: processes that share the rate limits. Each allows an equal share, so a key
                whose requests all reach one replica gets less than its limit.
            clock: seconds, monotonic.

        Raises:
            ConfigError: the file is missing or malformed.
        """
        self._path, self._num_replicas, self._clock = path, num_replicas, clock
        self._buckets: dict[str, _Bucket] = {}
        self._stamp = _stamp(path)
        self._checked_s = clock()
        self._use(read_keys(path).keys)

    @property
    def has_admin(self) -> bool:
        """Whether there is an admin key."""
        self._refresh()
        return self._has_admin

    def authenticate(self, authorization: str | None, role: Role) -> ApiKey:
        """Return the key in an ``Authorization`` header.

        Raises:
            ApiError: 401: no key, or an unknown key; 403: the key has another role.
        """
        self._refresh()
        match = _BEARER.fullmatch(authorization or "")
        key = self._find(match[1]) if match else None
        if key is None:
            what = "no API key was given" if authorization is None else "the API key is not valid"
            raise ApiError(
                401,
                f"{what}; send the header '{AUTHORIZATION}: Bearer KEY'",
                code="invalid_api_key",
                headers={WWW_AUTHENTICATE: "Bearer"},
            )
        if key.role != role:
            raise ApiError(403, f"this path takes {role} keys only", code="wrong_role")
        return key

    def count(self, key: ApiKey) -> None:
        """Count a request against the key's rate limit.

        Raises:
            ApiError: 429: the limit is used up.
        """
        bucket = self._buckets.get(key.sha256)
        wait_s = 0.0 if bucket is None else bucket.take(self._clock())
        if wait_s > 0:
            raise ApiError(
                429,
                f"this key may send {key.requests_per_minute} requests a minute; retry later",
                code="rate_limit_exceeded",
                retry_after_s=math.ceil(wait_s),
            )

    def _find(self, given: str) -> ApiKey | None:
        digest = hash_key(given)
        found = None
        for key in self._keys:  # all of them: the time must not reveal which one matches
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _refresh(self) -> None:
        now_s = self._clock()
        if now_s - self._checked_s < _CHECK_INTERVAL_S:
            return
        self._checked_s = now_s
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._use(read_keys(self._path).keys)
        except ConfigError as error:
            _log.error("the previous keys stay in use: %s", error)

    def _use(self, keys: Sequence[ApiKey]) -> None:
        self._keys = tuple(keys)
        self._has_admin = any(key.role == "admin" for key in keys)
        buckets = {}
        for key in keys:
            if key.requests_per_minute is not None:
                share = key.requests_per_minute / self._num_replicas
                kept = self._buckets.get(key.sha256)
                same = kept is not None and kept.per_minute == share
                buckets[key.sha256] = kept if same and kept else _Bucket(share, self._clock())
        self._buckets = buckets


@dataclass
class _Bucket:
    """A token bucket of one minute's requests that refills at a constant rate.

    Attributes:
        per_minute: requests allowed in a minute, and at once after a quiet minute.
        filled_s: when the tokens were last counted.
        tokens: requests allowed now.
    """

    per_minute: float
    filled_s: float

    def __post_init__(self) -> None:
        self.tokens = self._size = max(1.0, self.per_minute)

    def take(self, now_s: float) -> float:
        """Take a token and return 0; if there is none, return the seconds until there is."""
        rate = self.per_minute / 60
        self.tokens = min(self._size, self.tokens + (now_s - self.filled_s) * rate)
        self.filled_s = now_s
        if self.tokens < 1:
            return (1 - self.tokens) / rate
        self.tokens -= 1
        return 0.0


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
