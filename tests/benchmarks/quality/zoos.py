"""Zoos that routers are compared on, fixed before any router was trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import model_validator

from modelsat.config import FrozenConfig, parse_config, read_yaml_mapping

SHIPPED_ZOOS = Path(__file__).with_name("zoos.yaml")
_ALL = "*"
_NO_ZOO = ("close", "held_out", "release_order")


class ZooSetups(FrozenConfig):
    """Zoos over the candidates of one slice.

    Attributes:
        zoos: candidates by zoo; None means all candidates of the slice.
        close: names of the zoos whose best candidate leads by little.
        held_out: candidates that one router is not trained on.
        release_order: candidates by date of release.
    """

    zoos: dict[str, tuple[str, ...] | None]
    close: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    release_order: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        lists = {name: values[name] for name in _NO_ZOO if name in values}
        zoos = {
            name: None if members == _ALL else members
            for name, members in values.items()
            if name not in _NO_ZOO
        }
        return {"zoos": zoos, **lists}

    @model_validator(mode="after")
    def _names_zoos(self) -> "ZooSetups":
        unknown = [name for name in self.close if name not in self.zoos]
        if unknown:
            raise ValueError(f"close names {', '.join(unknown)}, which are not zoos of this slice")
        return self

    def among(self, candidates: Sequence[str]) -> "ZooSetups":
        """Return the set-ups without absent candidates, and without zoos that need them."""
        present = {
            name: tuple(candidates) if members is None else members
            for name, members in self.zoos.items()
            if members is None or set(members) <= set(candidates)
        }
        return self.model_copy(
            update={
                "zoos": present,
                "close": tuple(name for name in self.close if name in present),
                "held_out": tuple(name for name in self.held_out if name in candidates),
                "release_order": tuple(name for name in self.release_order if name in candidates),
            }
        )


ALL_CANDIDATES = ZooSetups.model_validate({"all": _ALL})


def load_zoos(path: str | Path | None) -> dict[str, ZooSetups]:
    """Return the zoo set-ups by slice.

    Args:
        path: YAML file; None takes :data:`SHIPPED_ZOOS`.

    Raises:
        ConfigError: the file cannot be read or a set-up is malformed.
    """
    source = SHIPPED_ZOOS if path is None else Path(path)
    return {
        name: parse_config(ZooSetups, values, source=f"{source}, {name}")
        for name, values in read_yaml_mapping(source).items()
    }
