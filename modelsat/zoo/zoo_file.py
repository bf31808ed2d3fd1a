"""The zoo file: YAML with one entry for each candidate."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, SerializeAsAny, field_validator

from modelsat.config import FrozenConfig, parse_config, read_yaml_mapping
from modelsat.errors import ConfigError, ZooError
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.engines import parse_candidate


class Zoo(FrozenConfig):
    """The candidates of one zoo file.

    Attributes:
        version: version of the file format.
        candidates: the candidates, at least one, each with its own name.
    """

    version: Literal[1]
    candidates: tuple[Annotated[SerializeAsAny[Candidate], BeforeValidator(parse_candidate)], ...]

    @field_validator("candidates")
    @classmethod
    def _distinct(cls, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        if not candidates:
            raise ValueError("the zoo is empty; list at least one candidate")
        for what in ("name", "slug"):
            counts = Counter(getattr(candidate, what) for candidate in candidates)
            repeated = sorted(value for value, count in counts.items() if count > 1)
            if repeated:
                raise ValueError(f"duplicate {what} {repeated}; every candidate needs its own")
        return tuple(candidate.sharing(candidates) for candidate in candidates)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the candidates, in the order of the file."""
        return tuple(candidate.name for candidate in self.candidates)

    @property
    def local(self) -> tuple[Candidate, ...]:
        """The candidates that this cluster runs."""
        return tuple(candidate for candidate in self.candidates if candidate.runs_on_cluster)

    def get(self, name: str) -> Candidate:
        """Return the candidate of that name.

        Raises:
            ZooError: the zoo does not hold it.
        """
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise ZooError(f"unknown candidate {name!r}; the zoo holds {', '.join(self.names)}")

    def select(self, names: Iterable[str] | None) -> tuple[Candidate, ...]:
        """Return the candidates of these names, or all when None."""
        return self.candidates if names is None else tuple(self.get(name) for name in names)


def load_zoo(path: str | Path) -> Zoo:
    """Read a zoo file; paths of model directories become absolute.

    Raises:
        ZooError: a key, value or candidate is refused; the message names the file.
    """
    try:
        zoo = parse_config(Zoo, read_yaml_mapping(path), source=str(path))
    except ConfigError as error:
        raise ZooError(str(error)) from None
    folder = Path(path).parent
    candidates = tuple(candidate.anchored(folder) for candidate in zoo.candidates)
    return zoo.model_copy(update={"candidates": candidates})
