"""Settings, as the reference and `modelsat serve --settings` show them."""

import pytest
from pydantic import BaseModel, Field
from typer.testing import CliRunner

from modelsat.cli.main import app
from modelsat.preparation.recipe import Recipe
from modelsat.zoo.zoo_file import Zoo
from profiling.config import ProfileConfig
from serve_app.config import ServeConfig
from serve_app.settings_reference import describe_config, settings_table, type_text
from train_jobs.config import TrainJobConfig


class Inner(BaseModel):
    """An inner mapping.

    Attributes:
        size: how many
            there are.
    """

    size: int = Field(default=3, ge=1)


class Outer(BaseModel):
    """An outer mapping.

    Attributes:
        name: what it is called.
        one: a mapping.
        many: a list of mappings.
        named: mappings by name.
    """

    name: str
    one: Inner = Inner()
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] | None = None


def test_settings_are_listed_with_key_type_default_and_meaning():
    sections = {section.key: section for section in describe_config(Outer)}
    assert list(sections) == ["", "one", "many[]", "named.NAME"]
    assert sections["one"].summary == "An inner mapping."
    found = [vars(setting) for setting in sections["many[]"].settings]
    assert found == [
        {
            "key": "many[].size",
            "type": "integer, at least 1",
            "default": "`3`",
            "meaning": "how many there are.",
        }
    ]
    top = {setting.key: (setting.type, setting.default) for setting in sections[""].settings}
    assert top == {
        "name": ("string", "required"),
        "many": ("list of Inner", "`[]`"),
        "named": ("mapping to Inner", "none"),
    }


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number, above 0, at most 1"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"type": ["string", "null"]}, "string"),
        ({"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]}, "integer, at least 2"),
        (
            {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "string or list of strings",
        ),
    ],
)
def test_a_schema_is_put_into_words(schema, words):
    assert type_text(schema) == words


@pytest.mark.parametrize("config", [Zoo, Recipe, ProfileConfig, TrainJobConfig, ServeConfig])
def test_every_setting_has_a_meaning(config):
    settings = [s for section in describe_config(config) for s in section.settings]
    assert settings
    assert [s.key for s in settings if not s.meaning.endswith((".", ")"))] == []


def test_the_command_prints_every_setting_of_serving():
    printed = CliRunner().invoke(app, ["serve", "--settings"])
    assert printed.exit_code == 0
    assert printed.stdout.strip() == settings_table(ServeConfig)
    rows = [line.split(" | ") for line in settings_table(ServeConfig).splitlines()[2:]]
    defaults = {cells[0].strip("|` "): cells[2].strip("`") for cells in rows}
    config = ServeConfig(zoo="zoo.yaml", cards="cards.parquet", router="router")
    assert defaults["zoo"] == "required"
    assert defaults["fallback.max_attempts"] == str(config.fallback.max_attempts)
    assert defaults["routing.sessions.margin"] == str(config.routing.sessions.margin)
    assert defaults["security.keys"] == "none"


def test_serving_needs_a_configuration():
    refused = CliRunner().invoke(app, ["serve"])
    assert refused.exit_code == 2
    assert "--config FILE is missing" in refused.stderr
