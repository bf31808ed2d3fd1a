"""Every setting of a served zoo with its default and reason, read off the configuration itself."""

import inspect
import re
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from serve_app.config import ServeConfig


def settings_table() -> str:
    """Return a Markdown table of all settings: dotted key, default, and description."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for key, default, meaning in _settings(ServeConfig, ""):
        rows.append(f"| `{key}` | {default} | {meaning} |")
    return "\n".join(rows)


def _settings(config: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    meanings = _attributes(config)
    for name, field in config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _shown(field), meanings[name]


def _shown(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default()
    if value is None:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _attributes(config: type[BaseModel]) -> dict[str, str]:
    """The lines under "Attributes:" of a Google docstring, by name, each on one line."""
    _, _, section = inspect.getdoc(config).partition("Attributes:\n")  # type: ignore[union-attr]
    entries = re.split(r"^    (?=\w+: )", section, flags=re.MULTILINE)[1:]
    pairs = (entry.partition(": ") for entry in entries)
    return {name: " ".join(text.split()).replace("``", "`") for name, _, text in pairs}
