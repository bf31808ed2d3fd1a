"""A candidate of the model zoo: the fields of every entry, and what callers may ask of it.

Callers use this interface and never test for an engine. Each engine has one module in
:mod:`modelsat.zoo.engines` with a subclass; a new engine is one more module there.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from modelsat.config import FrozenConfig
from modelsat.zoo.api_key import read_key
from modelsat.zoo.generation import Generation

Endpoint = Literal["chat", "completions", "embeddings"]

AUTO_MODEL = "auto"  # the model name that asks for routing; no candidate may use it


class Price(FrozenConfig):
    """Price of one million tokens, in US dollars.

    Attributes:
        input_usd_per_mtok: price of prompt tokens.
        output_usd_per_mtok: price of generated tokens.
    """

    input_usd_per_mtok: float = Field(ge=0, allow_inf_nan=False)
    output_usd_per_mtok: float = Field(ge=0, allow_inf_nan=False)

    def cost_usd(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return the price of a request with these token counts, in US dollars."""
        prompt_usd = self.input_usd_per_mtok * prompt_tokens
        return (prompt_usd + self.output_usd_per_mtok * completion_tokens) / 1e6


@dataclass(frozen=True)
class HttpEndpoint:
    """An OpenAI-compatible URL that answers for one candidate.

    Attributes:
        base_url: URL before ``/chat/completions``.
        model: name of the candidate's model at that URL.
        api_key_env: environment variable that holds the key; None if no key is sent.
    """

    base_url: str
    model: str
    api_key_env: str | None


class Candidate(FrozenConfig, ABC):
    """One LLM of the zoo, on any engine.

    Attributes:
        name: model name that clients may pin; outcomes and cards use it too.
        engine: what runs it, such as ``vllm``; each engine has fields of its own.
        price: price of its tokens; unknown when absent.
        context_window: most tokens of prompt and answer together.
        modalities: kinds of input that it reads.
        tools: whether requests with tools may be routed to it.
        endpoints: OpenAI endpoints that it answers.
        generation: how it generates answers, in profiling and when it is served.
    """

    name: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:-]*$")
    engine: str
    price: Price | None = None
    context_window: int = Field(gt=0)
    modalities: tuple[Literal["text", "image", "audio"], ...] = ("text",)
    tools: bool = False
    endpoints: tuple[Endpoint, ...] = Field(default=("chat", "completions"), min_length=1)

    generation: Generation = Field(default_factory=Generation)

    runs_on_cluster: ClassVar[bool]
    """Whether this cluster runs it; if not, it answers elsewhere and needs no start."""

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name == AUTO_MODEL:
            raise ValueError(f"{AUTO_MODEL!r} is the name that asks for routing; choose another")
        return name

    @model_validator(mode="after")
    def _answers_fit(self) -> Self:
        most = self.generation.max_new_tokens
        if most is not None and most >= self.context_window:
            raise ValueError(
                f"generation.max_new_tokens is {most}; it must be below context_window "
                f"{self.context_window}, which holds the prompt too"
            )
        return self

    @property
    def slug(self) -> str:
        """The name in lower-case letters, digits and dashes, for folders and applications."""
        return _slug(self.name)

    @property
    def engine_name(self) -> str:
        """Name of the candidate that its engine starts as; another one's if they share it."""
        return self.name

    @property
    def application_name(self) -> str:
        """Name of its engine's Serve application, when this cluster runs it."""
        return f"candidate-{_slug(self.engine_name)}"

    @property
    @abstractmethod
    def source(self) -> str:
        """Hub id, model directory or URL that the candidate's answers come from."""

    @abstractmethod
    def content_hash(self) -> str:
        """Return a hash of every setting that changes the candidate's answers.

        Finished profiling work holds for as long as it stays the same.
        """

    @property
    def http_endpoint(self) -> HttpEndpoint | None:
        """The URL that answers for it without any endpoint of ours; None if it has none."""
        return None

    @property
    def key_variables(self) -> tuple[str, ...]:
        """Environment variables that hold the keys of its requests."""
        return ()

    def check_keys(self) -> None:
        """Check that this process has every key of the candidate.

        Raises:
            ZooError: an environment variable is not set, or its value cannot be a key.
        """
        for variable in self.key_variables:
            read_key(variable, of=f"candidate {self.name!r}")

    def check_source(self) -> None:
        """Check the local files that the candidate runs from, if there are any.

        Raises:
            ZooError: they are missing or cannot be a model.
        """

    def anchored(self, folder: Path) -> Self:
        """Return the candidate with absolute paths.

        Args:
            folder: folder of the zoo file, which paths that begin with a dot are relative to.
        """
        return self

    def sharing(self, others: Sequence["Candidate"]) -> Self:
        """Return the candidate with the settings of the engine that it shares, if it does.

        Args:
            others: the candidates of the zoo.

        Raises:
            ValueError: there is no such engine.
        """
        return self

    def check_absolute(self) -> None:
        """Check that no path of the entry is relative to the folder of a zoo file.

        Raises:
            ZooError: one is.
        """


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
