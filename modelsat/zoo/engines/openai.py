"""Candidates behind an OpenAI-compatible URL."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from modelsat.artifacts.hashing import content_hash
from modelsat.zoo.api_key import read_key
from modelsat.zoo.candidate import Candidate, HttpEndpoint


class OpenAICandidate(Candidate):
    """A candidate that answers at a URL.

    Attributes:
        base_url: URL before ``/chat/completions``; requests go nowhere else.
        model: name of the model at that URL.
        api_key_env: environment variable that holds the key; no key is sent when absent.
    """

    engine: Literal["openai"]
    base_url: str = Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")
    model: str = Field(min_length=1)
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    runs_on_cluster: ClassVar[bool] = False

    @field_validator("base_url")
    @classmethod
    def _without_slash(cls, base_url: str) -> str:
        return base_url.rstrip("/")

    @property
    def source(self) -> str:
        """The URL."""
        return self.base_url

    def read_api_key(self) -> str | None:
        """Return the key of its requests; None if it has none.

        Raises:
            ZooError: the environment variable is not set, or its value cannot be a key.
        """
        if self.api_key_env is None:
            return None
        return read_key(self.api_key_env, of=f"candidate {self.name!r}")

    def content_hash(self) -> str:
        """Return a hash of URL, model name and generation.

        The model behind the URL may change all the same.
        """
        endpoint = {"base_url": self.base_url, "model": self.model}
        return content_hash({**endpoint, **self.generation.content()})

    @property
    def http_endpoint(self) -> HttpEndpoint:
        """The URL, the model name there, and the variable of the key."""
        return HttpEndpoint(self.base_url, self.model, self.api_key_env)

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The variable of the key, if the candidate has a key."""
        return () if self.api_key_env is None else (self.api_key_env,)
