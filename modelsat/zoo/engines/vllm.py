"""Candidates that run on this cluster with vLLM, as Ray Serve LLM starts them.

``llm_config`` stays the mapping that Ray's ``LLMConfig`` takes: Ray's own object does not survive
being written and read again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from modelsat.artifacts.hashing import content_hash, directory_hash
from modelsat.artifacts.store import read_json
from modelsat.errors import ArtifactError, ZooError
from modelsat.zoo.candidate import Candidate


class VllmCandidate(Candidate):
    """A candidate that this cluster runs.

    Attributes:
        llm_config: fields of Ray's ``LLMConfig``, as written in the zoo file.
        same_engine_as: another candidate, whose engine answers for this one too, with the
            ``generation`` of this one; instead of ``llm_config``.
    """

    engine: Literal["vllm"]
    llm_config: dict[str, Any] = Field(default_factory=dict)
    same_engine_as: str | None = None

    runs_on_cluster: ClassVar[bool] = True

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        if self.same_engine_as and not self.llm_config:
            return self  # until it is part of a zoo
        loading = self.llm_config.get("model_loading_config")
        if not isinstance(loading, dict) or not isinstance(loading.get("model_source"), str):
            raise ValueError(
                "llm_config.model_loading_config.model_source is missing; give a hub id or a "
                "directory, or the candidate whose engine it shares (same_engine_as)"
            )
        return self

    @property
    def engine_name(self) -> str:
        """Name of the candidate that its engine starts as; another one's if they share it."""
        return self.same_engine_as or self.name

    def sharing(self, others: Sequence[Candidate]) -> Self:
        """Return the candidate with the ``llm_config`` of the engine that it shares.

        Raises:
            ValueError: no other candidate has that engine, or the entry has another
                ``llm_config`` of its own.
        """
        if self.same_engine_as is None:
            return self
        owners = [one for one in others if one.name == self.same_engine_as]
        owner = owners[0] if owners else None
        if not isinstance(owner, VllmCandidate) or owner.same_engine_as is not None:
            raise ValueError(
                f"candidate {self.name!r}: same_engine_as is {self.same_engine_as!r}, which is not "
                "a candidate of this zoo with an llm_config of its own"
            )
        if self.llm_config not in ({}, owner.llm_config):
            raise ValueError(
                f"candidate {self.name!r} has an llm_config and shares the engine of "
                f"{owner.name!r}; leave out one of the two"
            )
        return self.model_copy(update={"llm_config": owner.llm_config})

    @property
    def source(self) -> str:
        """Hub id or local directory of the weights."""
        return str(self.llm_config["model_loading_config"]["model_source"])

    @property
    def is_directory(self) -> bool:
        """Whether the source is a directory on this machine and not a hub id."""
        return Path(self.source).is_dir()

    @property
    def engine_kwargs(self) -> dict[str, Any]:
        """Engine options as written in the zoo file."""
        return dict(self.llm_config.get("engine_kwargs") or {})

    @property
    def chat_template(self) -> str | None:
        """Text of the chat template that the zoo gives in place of the tokenizer's, if any.

        Raises:
            ZooError: the zoo names a file that cannot be read.
        """
        template: str | None = self.engine_kwargs.get("chat_template")
        if not template or not self._names_template_file:
            return template or None
        try:
            return Path(template).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ZooError(
                f"candidate {self.name!r}: chat_template {template!r} cannot be read: {reason}; "
                "give a file, or the template's text"
            ) from None

    @property
    def _names_template_file(self) -> bool:
        template = self.engine_kwargs.get("chat_template") or ""
        return bool(template) and "{" not in template

    def content_hash(self) -> str:
        """Return a hash of the weights, the engine options, the chat template and the generation.

        Raises:
            ZooError: the chat template's file cannot be read.
        """
        weights = directory_hash(self.source) if self.is_directory else self.source
        engine: dict[str, Any] = {"weights": weights, "engine_kwargs": self.engine_kwargs}
        if self._names_template_file:
            engine["chat_template"] = self.chat_template
        return content_hash({**engine, **self.generation.content()})

    def check_source(self) -> None:
        """Check that a local model directory holds a model; a hub id is left to the engine.

        Raises:
            ZooError: the source looks like a path, but has no readable ``config.json`` or no
                weights.
        """
        path = Path(self.source)
        if not (path.is_absolute() or self._is_relative or path.exists()):
            return
        if not (path / "config.json").is_file():
            raise ZooError(
                f"candidate {self.name!r}: {path} is not a model directory (no config.json); "
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

    def anchored(self, folder: Path) -> Self:
        """Return the candidate with the absolute path of its model directory."""
        if self._is_relative:
            source = (folder / self.source).resolve()
        elif self.is_directory:
            source = Path(self.source).absolute()
        else:
            return self
        loading = {**self.llm_config["model_loading_config"], "model_source": str(source)}
        llm_config = {**self.llm_config, "model_loading_config": loading}
        return self.model_copy(update={"llm_config": llm_config})

    def check_absolute(self) -> None:
        """Check that the model directory, if the source is one, has an absolute path.

        Raises:
            ZooError: the source is a relative path.
        """
        if self._is_relative:
            raise ZooError(
                f"candidate {self.name!r}: model_source {self.source!r} is a relative path; give "
                "an absolute directory or a hub id"
            )

    @property
    def _is_relative(self) -> bool:
        return self.source.startswith(".")
