from pathlib import Path

from typer.testing import CliRunner

from modelsat.cli.main import app
from serve_app.config import ServeConfig
from serve_app.settings import settings_table

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"


def test_the_page_holds_every_setting_as_the_command_prints_it():
    printed = CliRunner().invoke(app, ["serve", "--settings"])
    assert printed.exit_code == 0
    table = printed.stdout.strip()
    assert table == settings_table()
    assert PAGE.read_text().endswith(table + "\n")


def test_settings_are_told_with_default_and_reason():
    rows = {}
    for line in settings_table().splitlines()[2:]:
        key, default, meaning = (cell.strip() for cell in line.strip("|").split("|"))
        assert meaning.endswith("."), key
        rows[key.strip("`")] = default.strip("`")
    config = ServeConfig(zoo="zoo.yaml", cards="cards.parquet", router="router")
    assert rows["zoo"] == "required"
    assert rows["fallback.max_attempts"] == str(config.fallback.max_attempts)
    assert rows["routing.sessions.margin"] == str(config.routing.sessions.margin)
    assert rows["security.keys"] == "none"


def test_a_configuration_is_asked_for():
    refused = CliRunner().invoke(app, ["serve"])
    assert refused.exit_code == 2
    assert "--config FILE is missing" in refused.stderr
