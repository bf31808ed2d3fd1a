"""Serve a zoo: ``python -m serve_app.serve --config FILE [--set a.b=value] [--no-block]``."""

import typer

from serve_app.commands import serve

if __name__ == "__main__":
    typer.run(serve)
