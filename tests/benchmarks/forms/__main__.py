"""Compare forms of generated tests: ``python -m tests.benchmarks.forms --model DIR --out PAGE``.

Each model answers two forms of the general test, and each candidate of a demo zoo two tests of the
demo bank, with vLLM on this machine: minutes or hours. Answers are kept in
``runs/forms``, so an interrupted run continues. Exits with an error after the page is written if a
limit is missed.
"""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.app_errors import report_errors
from tests.benchmarks.forms.measures import measure_demo, measure_general
from tests.benchmarks.forms.page import check_figures, write_page
from tests.benchmarks.report.page import conclude


def main(
    model: Annotated[list[Path], typer.Option(help="Model directory; repeatable.")],
    demo_zoo: Annotated[Path | None, typer.Option(help="Zoo file of the demo.")] = None,
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("docs/benchmarks/forms.md"),
    work: Annotated[Path, typer.Option(help="Folder of forms and answers.")] = Path("runs/forms"),
    form: Annotated[tuple[int, int], typer.Option(help="Numbers of two forms.")] = (1, 2),
    shots: Annotated[int, typer.Option(min=5, help="Questions of each task.")] = 10,
) -> None:
    """Measure, write the page, and fail if a limit is missed."""
    with report_errors():
        general = measure_general(model, form, shots, work / "general")
        demo = measure_demo(demo_zoo, form, work / "demo") if demo_zoo else []
        checks = check_figures([*general, *demo])
        write_page(general, demo, form, shots, checks, out)
        conclude(checks, out, typer.echo)


if __name__ == "__main__":
    typer.run(main)
