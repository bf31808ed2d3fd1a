"""``modelsat zoo``: check a zoo file; show and change the zoo of a running endpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.cli.output import AsJson, print_json, print_table

if TYPE_CHECKING:
    from serve_app.admin_client import AdminClient

_DEFAULT_URL = "http://127.0.0.1:8000"
_DEFAULT_KEY_ENV = "MODELSAT_ADMIN_KEY"

Url = Annotated[str, typer.Option(help="Address of the endpoint.")]
KeyEnv = Annotated[str, typer.Option(help="Environment variable with the endpoint's admin key.")]

app = typer.Typer(
    no_args_is_help=True, help="Check a zoo file; change the zoo of a running endpoint."
)


@app.callback()
def _group() -> None:
    """Check a zoo file; change the zoo of a running endpoint."""


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Zoo file (YAML).")],
    as_json: AsJson = False,
) -> None:
    """Check a zoo file and the model directories it names."""
    from modelsat.zoo.zoo_file import load_zoo

    zoo = load_zoo(file)
    for candidate in zoo.candidates:
        candidate.check_source()
    rows = [
        {
            "candidate": candidate.name,
            "engine": candidate.engine,
            "source": candidate.source,
            "context_window": candidate.context_window,
            "input_usd_per_mtok": candidate.price and candidate.price.input_usd_per_mtok,
            "output_usd_per_mtok": candidate.price and candidate.price.output_usd_per_mtok,
            "endpoints": ", ".join(candidate.endpoints),
            "tools": candidate.tools,
        }
        for candidate in zoo.candidates
    ]
    if as_json:
        print_json({"file": str(file), "candidates": rows})
        return
    print_table(rows)
    typer.echo(f"{file}: {len(rows)} candidates, no problems found")


@app.command("list")
def list_candidates(
    url: Url = _DEFAULT_URL, key_env: KeyEnv = _DEFAULT_KEY_ENV, as_json: AsJson = False
) -> None:
    """List the candidates that an endpoint serves, and whether all replicas agree on them."""
    document = _admin(url, key_env).ask("GET", "")
    if as_json:
        print_json(document)
        return
    print_table(
        [
            {
                "candidate": candidate["name"],
                "engine": candidate["engine"],
                "source": candidate["source"],
                "card_version": candidate["card_version"],
                "accuracy": candidate["accuracy_fraction"],
                "input_usd_per_mtok": (candidate["price"] or {}).get("input_usd_per_mtok"),
                "output_usd_per_mtok": (candidate["price"] or {}).get("output_usd_per_mtok"),
                "problem": candidate["problem"],
            }
            for candidate in document["candidates"]
        ]
    )
    typer.echo(f"version {document['version']}, {document['change']}; router {document['router']}")
    if document["changing"]:
        typer.echo(f"in progress: {document['changing']}")
    if document["stopping"]:
        typer.echo(f"draining: {', '.join(document['stopping'])}")
    _print_agreement(document)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Candidate of the zoo file.")],
    zoo: Annotated[Path, typer.Option(help="Zoo file with its entry.")],
    cards: Annotated[Path | None, typer.Option(help="Cards (parquet) with its card.")] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            help="Configuration of `modelsat profile`: profile the candidate first and use the "
            "new card."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Accept a card whose accuracy changed implausibly.")
    ] = False,
    url: Url = _DEFAULT_URL,
    key_env: KeyEnv = _DEFAULT_KEY_ENV,
    as_json: AsJson = False,
) -> None:
    """Add a candidate to a running endpoint, or change its entry or card.

    A local candidate's engine is started first, which may take minutes. Without a card, a new
    candidate can be requested by name but is never chosen by the router; an existing candidate
    keeps its card.
    """
    from modelsat.errors import ConfigError
    from serve_app.admin_client import card_document, entry_document, profiled_cards

    if cards is not None and profile is not None:
        raise ConfigError("--cards and --profile exclude each other; pass one of them")
    entry = entry_document(zoo, name)
    admin = _admin(url, key_env)
    if profile is not None:
        admin.ask("GET", "")  # report a wrong key before an hour of profiling
        cards = profiled_cards(profile, zoo, name, echo=lambda line: typer.echo(line, err=True))
    card = None if cards is None else card_document(cards, name)
    body = {"entry": entry, "card": card, "force": force}
    _report(admin.ask("POST", "/candidates", body), as_json)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Candidate to remove.")],
    url: Url = _DEFAULT_URL,
    key_env: KeyEnv = _DEFAULT_KEY_ENV,
    as_json: AsJson = False,
) -> None:
    """Remove a candidate from a running endpoint after its requests finish."""
    from urllib.parse import quote

    _report(_admin(url, key_env).ask("DELETE", f"/candidates/{quote(name)}"), as_json)


@app.command()
def router(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Router directory.")],
    url: Url = _DEFAULT_URL,
    key_env: KeyEnv = _DEFAULT_KEY_ENV,
    as_json: AsJson = False,
) -> None:
    """Switch a running endpoint to another router."""
    body = {"router": str(directory.absolute())}
    _report(_admin(url, key_env).ask("PUT", "/router", body), as_json)


@app.command()
def versions(
    url: Url = _DEFAULT_URL, key_env: KeyEnv = _DEFAULT_KEY_ENV, as_json: AsJson = False
) -> None:
    """List the zoo versions that an endpoint stores, the newest first."""
    document = _admin(url, key_env).ask("GET", "/versions")
    if as_json:
        print_json(document)
        return
    columns = ("version", "created_at", "change", "router", "router_hash")
    print_table([{key: version[key] for key in columns} for version in document["versions"]])


@app.command()
def rollback(
    version: Annotated[int, typer.Argument(metavar="VERSION", help="Version to return to.")],
    url: Url = _DEFAULT_URL,
    key_env: KeyEnv = _DEFAULT_KEY_ENV,
    as_json: AsJson = False,
) -> None:
    """Restore an earlier version of the zoo as a new version."""
    _report(_admin(url, key_env).ask("POST", "/rollback", {"version": version}), as_json)


def _admin(url: str, key_env: str) -> "AdminClient":
    from serve_app.admin_client import AdminClient

    return AdminClient(url, key_env)


def _report(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    typer.echo(f"version {document['version']}: {document['change']}")
    _print_agreement(document)


def _print_agreement(document: dict[str, Any]) -> None:
    followers = document["followers"]
    if document["agreed"]:
        typer.echo(f"all {len(followers)} replicas agree")
        return
    behind = [follower for follower in followers if follower["version"] < document["version"]]
    for follower in behind:
        reason = f": {follower['problem']}" if follower["problem"] else ""
        typer.echo(f"{follower['id']} is still at version {follower['version']}{reason}")
