"""Files of a zoo that no engine ever loads."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

QUESTION_IDS = tuple(f"q{i}" for i in range(6))


def save_model(folder: Path, value: float) -> None:
    """A directory that passes for a model until an engine loads it."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    save_file({"weight": np.full(4, value)}, folder / "model.safetensors")


def questions(*ids: str) -> list[dict[str, Any]]:
    return [
        {"question_id": i, "benchmark": "b", "task": "t", "prompt": f"What is {i}?", "answer": i}
        for i in ids
    ]
