import stat

import pytest
import typer
from typer.testing import CliRunner

from modelsat.cli.app_errors import report_errors
from serve_app.api.key_file import read_keys
from serve_app.api.keys import KeyRing
from serve_app.keys_command import app


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(*arguments):
    with pytest.raises(SystemExit) as ended, report_errors():
        typer.main.get_command(app)([str(a) for a in arguments], standalone_mode=False)
    return ended.value.code


def test_a_new_key_is_shown_once_and_authenticates(tmp_path):
    file = tmp_path / "keys.yaml"
    made = run("create", "alice", "--file", file)
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert key not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KeyRing(file).authenticate(f"Bearer {key}", "client").name == "alice"
    listed = run("list", "--file", file)
    assert "alice" in listed.stdout
    assert key not in listed.stdout


def test_a_key_is_created_with_its_permissions(tmp_path):
    file = tmp_path / "keys.yaml"
    assert run("create", "root", "--file", file, "--role", "admin").exit_code == 0
    run(
        "create", "b", "--file", file, "--models", "a*", "--models", "b", "--requests-per-minute", 9
    )
    root, limited = read_keys(file).keys
    assert (root.role, root.models, root.requests_per_minute) == ("admin", None, None)
    assert (limited.role, limited.models, limited.requests_per_minute) == ("client", ("a*", "b"), 9)


def test_a_revoked_key_is_gone(tmp_path):
    file = tmp_path / "keys.yaml"
    for name in ("a", "b"):
        run("create", name, "--file", file)
    assert run("revoke", "a", "--file", file).exit_code == 0
    assert [key.name for key in read_keys(file).keys] == ["b"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("create", "a"), "same name"),
        (("create", "c", "--role", "root"), "role"),
        (("create", "c", "--requests-per-minute", "0"), "requests_per_minute"),
        (("create", "no spaces"), "name"),
        (("revoke", "c"), "holds no key 'c'; it holds a"),
    ],
)
def test_a_refusal_is_one_line_and_changes_nothing(tmp_path, capsys, arguments, expected):
    file = tmp_path / "keys.yaml"
    run("create", "a", "--file", file)
    before = file.read_text()
    assert refused(*arguments, "--file", file) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("\n") == 1
    assert file.read_text() == before


def test_only_create_creates_a_missing_file(tmp_path):
    file = tmp_path / "none.yaml"
    assert refused("list", "--file", file) == 2
    assert refused("revoke", "a", "--file", file) == 2
    assert not file.exists()
