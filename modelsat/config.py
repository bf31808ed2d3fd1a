"""Configuration: frozen pydantic models read from one YAML file.

A file describes a whole run; ``--set a.b=value`` overrides single values. Unknown keys are
errors, so a misspelt option is never silently ignored.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from modelsat.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound=BaseModel)

# Becomes absolute when the configuration is read: worker processes run in other folders.
AbsolutePath: TypeAlias = Annotated[Path, AfterValidator(Path.absolute)]


class FrozenConfig(BaseModel):
    """Base class of configuration models: immutable, with unknown keys rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def load_config(
    config_type: type[ConfigT], path: str | Path, overrides: Sequence[str] = ()
) -> ConfigT:
    """Read a YAML file into a configuration object.

    Args:
        config_type: the pydantic model to build.
        path: YAML file holding one mapping.
        overrides: ``"a.b=value"`` items, or ``"a.0.b=value"`` inside a list; values are parsed
            as YAML.

    Raises:
        ConfigError: the file is missing or is not a mapping, an override is malformed, or a
            value is invalid; the message names file, key, value and what is allowed.
    """
    values = read_yaml_mapping(path)
    for override in overrides:
        _apply_override(values, override)
    return parse_config(config_type, values, source=str(path))


def parse_config(config_type: type[ConfigT], values: Any, *, source: str) -> ConfigT:
    """Validate a mapping; raise ``ConfigError`` with pydantic's errors on one line."""
    try:
        return config_type.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{source}: {describe_validation_error(error)}") from None


def read_yaml_mapping(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that must hold a mapping.

    Raises:
        ConfigError: the file is missing, malformed, or has another top-level type.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot read configuration {path}: {error.strerror}; pass an existing YAML file"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text; pass a YAML file") from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must contain a mapping, found {type(values).__name__}")
    return values


def describe_validation_error(error: ValidationError) -> str:
    """Describe each invalid value on one line: key, reason, and the value if it is short."""
    parts = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "(top level)"
        value = repr(item.get("input"))
        shown = f", got {value}" if len(value) <= 80 and item["type"] != "missing" else ""
        parts.append(f"{key}: {item['msg']}{shown}")
    return "; ".join(parts)


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"override {override!r} is malformed; write it as a.b=value")
    *parents, last = key.split(".")
    target: Any = values
    for parent in parents:
        if isinstance(target, dict):
            target = target.setdefault(parent, {})
        else:
            target = _list_item(target, parent, override)
        if not isinstance(target, dict | list):
            raise ConfigError(f"override {override!r}: {parent} is a value, not a section")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"override {override!r}: the value is not valid YAML; quote it") from None
    if isinstance(target, dict):
        target[last] = value
    else:
        _list_item(target, last, override)
        target[int(last)] = value


def _list_item(items: list[Any], index: str, override: str) -> Any:
    if not index.isdecimal() or int(index) >= len(items):
        raise ConfigError(
            f"override {override!r}: {index} is not an index into a list of {len(items)}; "
            "indices start at 0"
        )
    return items[int(index)]
