"""``modelsat keys``: the file of API keys that ``security.keys`` of the serving names."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.errors import ConfigError

File = Annotated[Path, typer.Option("--file", help="File of keys; made by the first one.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What logs call the key's holder.")]

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


@app.callback()
def _group() -> None:
    """Make, list and revoke API keys; a running endpoint follows within a second."""


@app.command()
def create(
    name: Name,
    file: File,
    role: Annotated[
        str, typer.Option(help="client: asks models; admin: changes the zoo, nothing else.")
    ] = "client",
    models: Annotated[
        list[str] | None,
        typer.Option(help="Pattern of candidates it may use; repeatable. Default: all."),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(help="Limit over all ingress replicas. Default: none.")
    ] = None,
) -> None:
    """Make a key, print it once, and keep its hash."""
    from modelsat.config import parse_config
    from serve_app.api.key_file import KeyFile, hash_key, new_key, read_keys, write_keys

    keys = read_keys(file).keys if file.exists() else ()
    key = new_key()
    entry = {
        "name": name,
        "sha256": hash_key(key),
        "role": role,
        "models": models or None,
        "requests_per_minute": requests_per_minute,
    }
    entries = [*(known.model_dump() for known in keys), entry]
    write_keys(file, parse_config(KeyFile, {"keys": entries}, source=str(file)))
    typer.echo(key)
    typer.echo(f"{file} holds its hash; the key is shown this once", err=True)


@app.command("list")
def list_keys(file: File) -> None:
    """List the keys of a file, without the keys."""
    from modelsat.cli.output import print_table
    from serve_app.api.key_file import read_keys

    rows = [
        {
            "name": key.name,
            "role": key.role,
            "models": "all" if key.models is None else ", ".join(key.models),
            "requests_per_minute": key.requests_per_minute,
        }
        for key in read_keys(file).keys
    ]
    print_table(rows)


@app.command()
def revoke(name: Name, file: File) -> None:
    """Remove a key; it is refused within a second."""
    from serve_app.api.key_file import KeyFile, read_keys, write_keys

    keys = read_keys(file).keys
    kept = tuple(key for key in keys if key.name != name)
    if len(kept) == len(keys):
        known = ", ".join(key.name for key in keys) or "no key"
        raise ConfigError(f"{file} holds no key {name!r}; it holds {known}")
    write_keys(file, KeyFile(keys=kept))
    typer.echo(f"{name} is revoked")
