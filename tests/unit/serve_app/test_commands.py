import typer
from typer.testing import CliRunner

from serve_app.commands import serve

app = typer.Typer()
app.command()(serve)


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_help_describes_every_option():
    result = run("--help")
    assert result.exit_code == 0
    for option in ("--config", "--set", "--no-block"):
        assert option in result.output


def test_a_missing_configuration_is_one_line_and_exit_code_2(tmp_path):
    result = run("--config", str(tmp_path / "none.yaml"))
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cannot read configuration")
    assert result.stderr.count("\n") == 1


def test_a_missing_zoo_is_one_line_before_anything_starts(tmp_path):
    config = tmp_path / "serve.yaml"
    config.write_text("zoo: none.yaml\ncards: c.parquet\nrouter: r\n")
    result = run("--config", str(config), "--set", "port=8111")
    assert result.exit_code == 4
    assert "none.yaml" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_misspelt_override_is_refused(tmp_path):
    config = tmp_path / "serve.yaml"
    config.write_text("zoo: z.yaml\ncards: c.parquet\nrouter: r\n")
    result = run("--config", str(config), "--set", "prot=8111")
    assert result.exit_code == 2
    assert "prot" in result.stderr
