"""MkDocs hooks: add the pages that are generated from the code, and list folders in the menu."""

from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from docs.hooks.commands import commands_page
from docs.hooks.configuration import FILES, configuration_page, tables_page, zoo_page
from docs.hooks.endpoint import (
    exit_codes_page,
    headers_page,
    http_errors_page,
    metrics_page,
    requests_page,
)

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Packages of the library that are not a Python API: the console script and the demo.
NOT_API = {"cli", "demo"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace each folder of the menu by the pages in it."""
    names = [
        *(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")),
        *generated_pages(),
    ]
    config.nav = _with_folders_listed(config.nav, sorted(names))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, text in generated_pages().items():
        files.append(File.generated(config, name, content=text))
    return files


@cache
def generated_pages() -> dict[str, str]:
    """Return every generated page by its path below ``docs``."""
    pages = {
        f"reference/{name}.md": configuration_page(title, config, command)
        for name, title, config, command in FILES
    }
    return {
        **pages,
        "reference/commands.md": commands_page(),
        "reference/zoo-file.md": zoo_page(),
        "reference/tables.md": tables_page(),
        "reference/requests.md": requests_page(),
        "reference/headers.md": headers_page(),
        "reference/metrics.md": metrics_page(),
        "reference/http-errors.md": http_errors_page(),
        "reference/exit-codes.md": exit_codes_page(),
        "decisions/index.md": _decisions_page(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text().replace("docs/", ""),
        **{f"reference/python/{name}.md": _api_page(name) for name in _api_modules()},
    }


def _decisions_page() -> str:
    lines = ["# Decisions", "Why Model-SAT is as it is, one page for each decision.", ""]
    for path in sorted((DOCS / "decisions").glob("0*.md")):
        number, _, title = path.read_text().partition("\n")[0].removeprefix("# ").partition(": ")
        lines.append(f"- {number}: [{title}]({path.name})")
    return "\n".join(lines) + "\n"


def _api_modules() -> list[str]:
    library = ROOT / "modelsat"
    packages = {path.parent.name for path in library.glob("*/__init__.py")}
    modules = {path.stem for path in library.glob("*.py")} - {"__init__"}
    return sorted((packages | modules) - NOT_API)


def _api_page(name: str) -> str:
    return f"# modelsat.{name}\n\n::: modelsat.{name}\n"


def _with_folders_listed(entry: Any, names: list[str]) -> Any:
    if isinstance(entry, list):
        return [_with_folders_listed(item, names) for item in entry]
    if isinstance(entry, dict):
        return {title: _with_folders_listed(value, names) for title, value in entry.items()}
    if entry.endswith("/"):
        return [name for name in names if name.startswith(entry)]
    return entry
