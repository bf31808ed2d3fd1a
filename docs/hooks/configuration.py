"""The reference pages of YAML files and of tables, read from pydantic models and Arrow schemas."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple

from pydantic import BaseModel

from modelsat.artifacts.schemas import CANDIDATES, CARDS, OUTCOMES, QUESTIONS, TableSchema
from modelsat.preparation.recipe import Recipe
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.engines import CANDIDATE_TYPES
from modelsat.zoo.zoo_file import Zoo
from profiling.collect_config import CollectConfig
from profiling.config import ProfileConfig
from serve_app.config import ServeConfig
from serve_app.settings_reference import Setting, describe_config, markdown_table
from train_jobs.config import TrainJobConfig

# Name of the page, its title, its pydantic model, and the command that reads the file.
FILES: tuple[tuple[str, str, type[BaseModel], str], ...] = (
    ("recipe", "Recipe", Recipe, "prepare"),
    ("profiling", "Profiling configuration", ProfileConfig, "profile"),
    ("collecting", "Collection configuration", CollectConfig, "collect"),
    ("training", "Training configuration", TrainJobConfig, "train"),
    ("serving", "Serving configuration", ServeConfig, "serve"),
)
TABLES = (QUESTIONS, OUTCOMES, CANDIDATES, CARDS)


def configuration_page(title: str, config: type[BaseModel], command: str) -> str:
    """Return the page of one YAML file: a section with a table for each mapping in it."""
    return "\n\n".join([*_opening(title, command), *_sections(config)]) + "\n"


def zoo_page() -> str:
    """Return the page of the zoo file: the fields of every candidate, then those of each engine."""
    parts = [*_opening("Zoo file", "zoo validate"), *_sections(Zoo)]
    for engine, candidate in CANDIDATE_TYPES.items():
        (section,) = (found for found in describe_config(candidate) if not found.key)
        own = [s for s in section.settings if s.key not in Candidate.model_fields]
        parts += [f"## Candidates with `engine: {engine}`", section.summary, _table(own)]
    return "\n\n".join(parts) + "\n"


def _opening(title: str, command: str) -> list[str]:
    link = f"commands.md#modelsat-{command.replace(' ', '-')}"
    sentence = f"A YAML file, read by [`modelsat {command}`]({link}). Unknown keys are errors."
    return [f"# {title}", sentence]


def _sections(config: type[BaseModel]) -> Iterator[str]:
    for section in describe_config(config):
        if section.key:
            yield f"## `{section.key}`: {section.model}"
        yield section.summary
        yield _table(section.settings, section.key)


def _table(settings: Sequence[Setting], section: str = "") -> str:
    rows = [
        (f"`{key.removeprefix(section).lstrip('.')}`", kind, default, meaning)
        for key, kind, default, meaning in map(astuple, settings)
    ]
    return markdown_table(("key", "type", "default", "meaning"), rows)


def tables_page() -> str:
    """Return the page of parquet tables and their columns."""
    parts = [
        "# Tables",
        "Parquet files. The footer of a file that Model-SAT wrote holds its kind, its schema "
        "version and a manifest.",
    ]
    for table in TABLES:
        parts += [f"## {table.name}", _key_text(table), _columns(table)]
    return "\n\n".join(parts) + "\n"


def _key_text(table: TableSchema) -> str:
    key = ", ".join(f"`{name}`" for name in table.key)
    return f"Schema version {table.version}. Unique by {key}."


def _columns(table: TableSchema) -> str:
    rows = [
        (f"`{field.name}`", str(field.type), "may be absent or null" if field.nullable else "yes")
        for field in table.fields
    ]
    return markdown_table(("column", "type", "required"), rows)
