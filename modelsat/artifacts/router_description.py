"""The description of a router directory, readable without loading weights. Torch-free."""

from pathlib import Path
from typing import Any

from modelsat.artifacts.store import read_json
from modelsat.errors import ArtifactError

ROUTER_SCHEMA_VERSION = 5
DESCRIPTION_NAME = "router.json"


def read_description(path: str | Path) -> dict[str, Any]:
    """Read ``router.json`` of a router directory, without loading weights.

    Raises:
        ArtifactError: not a router directory, malformed, or another schema version.
    """
    directory = Path(path)
    if not (directory / DESCRIPTION_NAME).is_file():
        raise ArtifactError(
            f"{directory} is not a router directory (no {DESCRIPTION_NAME}); pass a directory "
            "written by `modelsat train`"
        )
    description = read_json(directory / DESCRIPTION_NAME)
    version = description.get("schema_version")
    if version != ROUTER_SCHEMA_VERSION:
        raise ArtifactError(
            f"{directory} has router schema version {version}; this release reads version "
            f"{ROUTER_SCHEMA_VERSION}: retrain the router, or use the release that wrote it"
        )
    return description
