"""Candidates that run on this cluster with vLLM, as Ray Serve LLM starts them.

``llm_config`` stays the mapping that Ray's ``LLMConfig`` takes: Ray's own object does not survive
being written and read again.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import field_validator

from modelsat.artifacts.hashing import content_hash, directory_hash
from modelsat.artifacts.store import read_json
from modelsat.errors import ArtifactError, ZooError
from modelsat.zoo.candidate import Candidate


class VllmCandidate(Candidate):
    """A candidate that this cluster runs.

    Attributes:
        llm_config: fields of Ray's ``LLMConfig``, as written in the zoo file.
    """

    engine: Literal["vllm"]
    llm_config: dict[str, Any]

    runs_on_cluster: ClassVar[bool] = True

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

    def content_hash(self) -> str:
        """Return a hash of the weights, the engine options and the generation."""
        weights = directory_hash(self.source) if self.is_directory else self.source
        engine = {"weights": weights, "engine_kwargs": self.engine_kwargs}
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
