"""The model zoo: the candidates a request may be routed to, read from one YAML file.

Torch-free and engine-free: ``llm_config`` stays the raw mapping that Ray's ``LLMConfig``
takes, because Ray's object does not survive a round trip.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from modelsat.artifacts.hashing import content_hash, directory_hash
from modelsat.artifacts.store import read_json
from modelsat.config import FrozenConfig, parse_config, read_yaml_mapping
from modelsat.errors import ArtifactError, ConfigError, ZooError

Endpoint = Literal["chat", "completions", "embeddings"]

AUTO_MODEL = "auto"  # the model name that asks for routing; no candidate may take it


class Price(FrozenConfig):
    """Price of one million tokens, in US dollars."""

    input_usd_per_mtok: float = Field(ge=0, allow_inf_nan=False)
    output_usd_per_mtok: float = Field(ge=0, allow_inf_nan=False)

    def cost_usd(self, prompt_tokens: float, completion_tokens: float) -> float:
        """What so many tokens cost, US dollars."""
        prompt_usd = self.input_usd_per_mtok * prompt_tokens
        return (prompt_usd + self.output_usd_per_mtok * completion_tokens) / 1e6


class Candidate(FrozenConfig):
    """What is said of every LLM of the zoo, wherever it runs.

    Attributes:
        name: what clients pin and what outcomes and cards call it.
        price: what its tokens cost; unknown when absent.
        context_window: most tokens of prompt and answer together.
        modalities: kinds of input it reads.
        tools: whether requests that bring tools may be routed to it.
        endpoints: the OpenAI endpoints it answers.
    """

    name: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:-]*$")
    price: Price | None = None
    context_window: int = Field(gt=0)
    modalities: tuple[Literal["text", "image", "audio"], ...] = ("text",)
    tools: bool = False
    endpoints: tuple[Endpoint, ...] = Field(default=("chat", "completions"), min_length=1)

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name == AUTO_MODEL:
            raise ValueError(f"{AUTO_MODEL!r} is the name that asks for routing; choose another")
        return name

    @property
    def slug(self) -> str:
        """Its name in lower-case letters, digits and dashes: for folders and applications."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


class VllmCandidate(Candidate):
    """A candidate served on this cluster.

    Attributes:
        llm_config: fields of Ray's ``LLMConfig``, verbatim.
    """

    engine: Literal["vllm"]
    llm_config: dict[str, Any]

    @field_validator("llm_config")
    @classmethod
    def _has_source(cls, llm_config: dict[str, Any]) -> dict[str, Any]:
        loading = llm_config.get("model_loading_config")
        if not isinstance(loading, dict) or not isinstance(loading.get("model_source"), str):
            raise ValueError(
                "model_loading_config.model_source is missing; give a hub id or a directory"
            )
        return llm_config

    @property
    def model_source(self) -> str:
        """Hub id or local directory of the weights."""
        return str(self.llm_config["model_loading_config"]["model_source"])

    @property
    def engine_kwargs(self) -> dict[str, Any]:
        """Engine options as written in the zoo file."""
        return dict(self.llm_config.get("engine_kwargs") or {})

    @property
    def application_name(self) -> str:
        """Name of its Serve application."""
        return f"candidate-{self.slug}"

    def check_local_model(self) -> None:
        """Refuse a local directory that is no model; a hub id is left to the engine.

        Raises:
            ZooError: ``model_source`` looks like a path but lacks a readable ``config.json``
                or weights.
        """
        path = Path(self.model_source)
        if path.is_absolute() or self.model_source.startswith(".") or path.exists():
            if not (path / "config.json").is_file():
                raise ZooError(
                    f"candidate {self.name!r}: {path} is no model directory (no config.json); "
                    "give a Hugging Face model directory or a hub id"
                )
            try:
                read_json(path / "config.json")
            except ArtifactError as error:
                raise ZooError(f"candidate {self.name!r}: {error}") from None
            if not any(path.glob("*.safetensors")):
                raise ZooError(
                    f"candidate {self.name!r}: {path} holds no *.safetensors weights; "
                    "convert the model to safetensors"
                )

    def content_hash(self) -> str:
        """Hash of everything that changes its answers: weights and engine options."""
        path = Path(self.model_source)
        weights = directory_hash(path) if path.is_dir() else self.model_source
        return content_hash({"weights": weights, "engine_kwargs": self.engine_kwargs})


class OpenAICandidate(Candidate):
    """A candidate behind an OpenAI-compatible URL.

    Attributes:
        base_url: what stands before ``/chat/completions``; requests go nowhere else.
        model: the name that the URL knows it by.
        api_key_env: environment variable that holds the key; no key is sent when absent.
    """

    engine: Literal["openai"]
    base_url: str = Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")
    model: str = Field(min_length=1)
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    @field_validator("base_url")
    @classmethod
    def _without_slash(cls, base_url: str) -> str:
        return base_url.rstrip("/")

    def read_api_key(self) -> str | None:
        """The key that requests to it bring; None where it names none.

        Raises:
            ZooError: the environment variable is not set, or holds what cannot be a key.
        """
        if self.api_key_env is None:
            return None
        return read_key(self.api_key_env, of=f"candidate {self.name!r}")

    def content_hash(self) -> str:
        """Hash of what is known to change its answers; the model behind the URL may still."""
        return content_hash({"base_url": self.base_url, "model": self.model})


ZooCandidate = VllmCandidate | OpenAICandidate


def read_key(variable: str, of: str) -> str:
    """The API key that an environment variable holds.

    Args:
        variable: its name.
        of: whose key it is, for errors.

    Raises:
        ZooError: it is not set, or holds what cannot be a key.
    """
    key = os.environ.get(variable, "")
    if not key:
        raise ZooError(
            f"{of}: environment variable {variable} is not set; set it to the provider's key for "
            "the processes that ask it, those of a cluster included"
        )
    if not all("!" <= char <= "~" for char in key):
        raise ZooError(
            f"{of}: environment variable {variable} holds characters that no key has (blanks, "
            "line ends or non-ASCII); set it to the key alone"
        )
    return key


class Zoo(FrozenConfig):
    """The candidates of one zoo file."""

    version: Literal[1]
    candidates: tuple[
        Annotated[VllmCandidate | OpenAICandidate, Field(discriminator="engine")], ...
    ]

    @field_validator("candidates")
    @classmethod
    def _distinct(cls, candidates: tuple[ZooCandidate, ...]) -> tuple[ZooCandidate, ...]:
        if not candidates:
            raise ValueError("the zoo is empty; list at least one candidate")
        for what in ("name", "slug"):
            counts = Counter(getattr(candidate, what) for candidate in candidates)
            repeated = sorted(value for value, count in counts.items() if count > 1)
            if repeated:
                raise ValueError(f"duplicate {what} {repeated}; every candidate needs its own")
        return candidates

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the candidates, in the order of the file."""
        return tuple(candidate.name for candidate in self.candidates)

    @property
    def local(self) -> tuple[VllmCandidate, ...]:
        """The candidates that run on this cluster."""
        return tuple(c for c in self.candidates if isinstance(c, VllmCandidate))

    def get(self, name: str) -> ZooCandidate:
        """The candidate of that name.

        Raises:
            ZooError: the zoo does not hold it.
        """
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise ZooError(f"unknown candidate {name!r}; the zoo holds {', '.join(self.names)}")

    def select(self, names: Iterable[str] | None) -> tuple[ZooCandidate, ...]:
        """The candidates of those names, or all when None."""
        return self.candidates if names is None else tuple(self.get(name) for name in names)


def load_zoo(path: str | Path) -> Zoo:
    """Read a zoo file; relative model directories are taken from the file's folder.

    Raises:
        ZooError: a key, value or candidate is refused; the message names the file.
    """
    try:
        values = read_yaml_mapping(path)
        zoo = parse_config(Zoo, values, source=str(path))
    except ConfigError as error:
        raise ZooError(str(error)) from None
    return zoo.model_copy(
        update={"candidates": tuple(_anchored(c, Path(path).parent) for c in zoo.candidates)}
    )


def _anchored(candidate: ZooCandidate, folder: Path) -> ZooCandidate:
    if isinstance(candidate, OpenAICandidate) or not candidate.model_source.startswith("."):
        return candidate
    loading = candidate.llm_config["model_loading_config"]
    source = str((folder / candidate.model_source).resolve())
    llm_config = {
        **candidate.llm_config,
        "model_loading_config": {**loading, "model_source": source},
    }
    return candidate.model_copy(update={"llm_config": llm_config})
