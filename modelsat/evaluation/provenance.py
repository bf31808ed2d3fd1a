"""When, from what code and on what machine a page of figures was measured."""

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class Provenance:
    """What stands at the head of a page of figures.

    Attributes:
        date: day of the measurement, UTC.
        commit: of the code; ``-dirty`` where it had changes.
        hardware: of the machine.
    """

    date: str
    commit: str
    hardware: str


def provenance(gpu: str | None = None) -> Provenance:
    """Those of this moment, of the working directory's repository and of this machine.

    Args:
        gpu: name of the GPU that was used, if one was.
    """
    processor = platform.processor() or platform.machine()
    return Provenance(
        date=datetime.now(UTC).date().isoformat(),
        commit=_commit(),
        hardware=f"{os.cpu_count()} CPU cores ({processor}), {gpu or 'no GPU used'}",
    )


def render_page(
    package: str,
    template: str,
    filters: Mapping[str, Callable[..., str]],
    *,
    gpu: str | None = None,
    **values: Any,
) -> str:
    """A Markdown page from a package's template, which also sees the provenance.

    Args:
        package: whose ``templates`` folder holds it.
        template: file name.
        filters: further filters of the template, by name.
        gpu: name of the GPU that was used, if one was.
        values: what it shows; a name the template misses is an error.
    """
    environment = Environment(
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters |= filters
    return environment.get_template(template).render(**values, **vars(provenance(gpu)))


def _commit() -> str:
    process = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return process.stdout.strip() or "unknown"
