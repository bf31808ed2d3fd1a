"""The command ``modelsat serve``. Light to import: Ray is loaded when the command runs."""

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.app_errors import report_errors
from modelsat.config import load_config
from modelsat.errors import ConfigError, MachineError
from modelsat.progress import Progress, clear_bar

if TYPE_CHECKING:
    from serve_app.config import ServeConfig


def serve(
    config: Annotated[Path | None, typer.Option(help="YAML file of a ServeConfig.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one value; repeatable."),
    ] = None,
    block: Annotated[
        bool,
        typer.Option(
            help="Run until Ctrl-C; --no-block returns once ready and leaves it running on a "
            "Ray cluster that was there before."
        ),
    ] = True,
    settings: Annotated[
        bool, typer.Option("--settings", help="Print every setting, its default and reason.")
    ] = False,
) -> None:
    """Serve a zoo behind one OpenAI-compatible endpoint that routes each request."""
    from serve_app.config import ServeConfig
    from serve_app.settings_reference import settings_table

    with report_errors():
        if settings:
            _say(settings_table(ServeConfig))
            return
        if config is None:
            raise ConfigError("--config FILE is missing; --settings tells what may stand in it")
        run(load_config(ServeConfig, config, overrides or ()), block=block)


def run(config: "ServeConfig", *, block: bool) -> None:
    """Deploy, print the endpoint's URL, and block until Ctrl-C if ``block`` is set.

    Raises:
        MachineError: ``block`` is not set, and there is no cluster that would keep it running.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after everything was shut down; while it started,
            see :func:`serve_app.lifecycle.deploy`.
    """
    from serve_app import lifecycle

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    lifecycle.raise_on_signals()
    if not block and not lifecycle.connect(config.cluster_cpus):
        raise MachineError(
            "no Ray cluster is running that would keep the endpoint up; start one with "
            "`ray start --head`, name one with RAY_ADDRESS, or leave out --no-block"
        )
    with Progress("start the endpoint"):
        lifecycle.deploy(config, report=_say)
    _say(_greeting(config))
    if not block:
        return
    try:
        lifecycle.raise_on_signals()
        _say("press Ctrl-C to stop")
        threading.Event().wait()
    except KeyboardInterrupt:
        _say("shutting down")
        lifecycle.shutdown()
        raise


def _greeting(config: "ServeConfig") -> str:
    body = '{"model": "auto", "messages": [{"role": "user", "content": "What is 12 + 30?"}]}'
    return (
        f"serving at {config.url}\n"
        f"  curl {config.url}/chat/completions -H 'Content-Type: application/json' \\\n"
        f"    -d '{body}'"
    )


def _say(line: str) -> None:
    clear_bar()
    typer.echo(line)
