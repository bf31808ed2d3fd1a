"""``modelsat prepare``: from a folder of tables to the data of a training job."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.output import AsJson, print_json


def prepare(
    recipe: Annotated[
        str, typer.Argument(help="Recipe (YAML), or the name of one that Model-SAT ships: mmlu.")
    ],
    data: Annotated[Path, typer.Option(help="Folder with questions.parquet, outcomes.parquet.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    as_json: AsJson = False,
) -> None:
    """Choose aptitude tests, build cards, and write what `modelsat train --data OUT` reads.

    The recipe says which sources and benchmarks of the tables are used, how the aptitude tests are
    chosen, and which questions are kept for evaluation. Zoos that the folder lacks are skipped.
    """
    from modelsat.preparation.prepare import prepare as prepare_recipe
    from modelsat.preparation.recipe import load_recipe

    def report(line: str) -> None:
        typer.echo(line, err=as_json)

    zoos = prepare_recipe(load_recipe(recipe), data, out, report)
    if as_json:
        print_json(
            {
                zoo.name: {
                    "tasks": str(zoo.tasks),
                    "cards": str(zoo.cards),
                    "candidates": zoo.trained_on,
                    "data_sets": {one.benchmark: str(one.directory) for one in zoo.data_sets},
                }
                for zoo in zoos
            }
        )
        return
    typer.echo(f"train on it: modelsat train --config CONFIG --data {out}")
