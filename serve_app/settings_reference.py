"""Describe the settings of a configuration: key, type, default and meaning.

Everything is read from the pydantic model and its docstring, so that help texts and the reference
documentation cannot differ from the code.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        key: full dotted key, as ``--set`` takes it; ``[]`` stands for an index, ``NAME`` for a
            key of a mapping.
        type: its type and bounds, in words.
        default: its default as Markdown; ``required`` if it has none.
        meaning: the field's description, or what the model's docstring says about it.
    """

    key: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Section:
    """The settings of one pydantic model, where it appears in a configuration.

    Attributes:
        key: dotted key of the section; empty at the top level.
        model: name of the pydantic model.
        summary: the model's docstring without the list of attributes.
        settings: its settings, in the order of the code.
    """

    key: str
    model: str
    summary: str
    settings: tuple[Setting, ...]


def describe_config(config: type[BaseModel], key: str = "") -> Iterator[Section]:
    """Yield the sections of a configuration, each before the sections inside it."""
    schemas = config.model_json_schema()["properties"]
    meanings = _meanings(config)
    settings, inner = [], []
    for name, field in config.model_fields.items():
        full = f"{key}.{name}" if key else name
        nested = list(_nested(field.annotation, full))
        inner += nested
        if nested != [(full, field.annotation)]:
            text = type_text(schemas[name])
            settings.append(
                Setting(full, text, _default(field), field.description or meanings[name])
            )
    yield Section(key, config.__name__, _summary(config), tuple(settings))
    for full, model in inner:
        yield from describe_config(model, full)


def settings_table(config: type[BaseModel]) -> str:
    """Return all settings of a configuration as one Markdown table."""
    return markdown_table(
        ("setting", "type", "default", "meaning"),
        [
            (f"`{setting.key}`", setting.type, setting.default, setting.meaning)
            for section in describe_config(config)
            for setting in section.settings
        ],
    )


def markdown_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table; bars inside cells are escaped."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    words = {
        "minimum": "at least {:,g}",
        "exclusiveMinimum": "above {:,g}",
        "maximum": "at most {:,.10g}",
        "exclusiveMaximum": "below {:,g}",
        "maxItems": "at most {:,} items",
        "maxLength": "at most {:,} characters",
        "pattern": "matches `{}`",
    }
    if schema.get("minItems"):
        yield "not empty"
    for name, text in words.items():
        if name in schema:
            yield text.format(schema[name])


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def type_text(schema: Mapping[str, Any]) -> str:
    """Return a JSON Schema of one value in words, such as ``integer, at least 1``.

    Bounds are left out where several types are allowed.
    """
    forms = list(_alternatives(schema))
    if len(forms) == 1:
        return ", ".join([_kind(forms[0]), *_bounds(forms[0])])
    return " or ".join(dict.fromkeys(map(_kind, forms)))


def _alternatives(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the alternatives that a value may match, null left out."""
    inner = schema.get("anyOf") or schema.get("oneOf")
    if inner:
        for form in inner:
            yield from _alternatives(form)
    elif schema.get("type") != "null":
        yield schema


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema or "enum" in schema:
        return ", ".join(map(_literal, schema.get("enum") or [schema["const"]]))
    kind = schema.get("type", "any value")
    if isinstance(kind, list):
        kind = " or ".join(part for part in kind if part != "null")
    if kind == "array" and "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])} values"
    if kind == "array":
        return f"list of {_kinds(schema.get('items', {}))}"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"mapping to {_kinds(values)}" if isinstance(values, dict) else "mapping"
    return "path" if schema.get("format") == "path" else str(kind)


def _kinds(schema: Mapping[str, Any]) -> str:
    """Return the kind of a list's items, in the plural where that is simple."""
    kind = " or ".join(dict.fromkeys(map(_kind, _alternatives(schema))))
    kind = re.sub(r"^list of", "lists of", kind)
    return f"{kind}s" if kind in ("string", "integer", "number", "path", "mapping") else kind


def _nested(annotation: Any, key: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the pydantic models inside an annotation, each with the key of its fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield key, annotation
        return
    origin = get_origin(annotation)
    inner_key = {tuple: f"{key}[]", list: f"{key}[]", dict: f"{key}.NAME"}.get(origin, key)
    for argument in get_args(annotation):
        yield from _nested(argument, inner_key)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return "none" if value is None else _literal(value)


def _literal(value: object) -> str:
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _summary(config: type[BaseModel]) -> str:
    text, _, _ = (inspect.getdoc(config) or "").partition("Attributes:\n")
    return text.strip().replace("``", "`")


def _meanings(config: type[BaseModel]) -> dict[str, str]:
    """Return the "Attributes:" of the docstrings of a model and its bases, each on one line."""
    meanings: dict[str, str] = {}
    for base in reversed(config.__mro__):
        _, _, section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        for entry in re.split(r"^    (?=\w+: )", section, flags=re.MULTILINE)[1:]:
            name, _, text = entry.partition(": ")
            meanings[name] = " ".join(text.split()).replace("``", "`")
    return meanings
