"""Train a router: ``python -m train_jobs.train_router --config FILE [--set a.b=value]``."""

import typer

from train_jobs.commands import train

if __name__ == "__main__":
    typer.run(train)
