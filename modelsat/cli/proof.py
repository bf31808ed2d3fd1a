"""``modelsat proof``: the quickstart's claim on a larger zoo and several seeds."""

from pathlib import Path
from typing import Annotated

import typer


def proof(
    directory: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/proof"),
    cache: Annotated[Path, typer.Option(help="Folder of trained checkpoints.")] = Path(
        "runs/cache"
    ),
    page: Annotated[Path, typer.Option(help="Page to write.")] = Path("docs/benchmarks/proof.md"),
    seeds: Annotated[str, typer.Option(help="Seeds, as 0,1,2.")] = "0,1,2",
) -> None:
    """Prove routing and onboarding by card alone on the demo zoo; resumable."""
    from modelsat.demo.proof import run_proof
    from modelsat.errors import ConfigError

    try:
        chosen = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise ConfigError(f"--seeds {seeds!r} is no list of whole numbers, as 0,1,2") from None
    run_proof(directory, cache, page, seeds=chosen, echo=typer.echo)
