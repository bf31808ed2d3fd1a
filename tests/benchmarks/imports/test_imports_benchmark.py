"""A small run of the import benchmark writes its page."""

from pathlib import Path

from tests.benchmarks.imports.logs import LOGS
from tests.benchmarks.imports.measures import measure_import
from tests.benchmarks.imports.page import check_figures, write_page


def test_a_small_run_writes_the_page(tmp_path: Path) -> None:
    figures = [measure_import(log, 1000, tmp_path / log.log_format) for log in LOGS]
    assert [one.num_questions for one in figures] == [50, 50]
    assert all(0 < one.peak_gib < 1 and one.rows_per_s > 0 for one in figures)
    checks = check_figures(figures)
    write_page(figures, checks, tmp_path / "imports.md")
    page = (tmp_path / "imports.md").read_text()
    assert "lm-evaluation-harness" in page
    assert page.count("| met |") == 2
