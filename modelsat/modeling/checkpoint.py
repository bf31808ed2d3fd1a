"""The router artifact: a self-describing directory that loads without Ray or DeepSpeed.

router.json            schema version, model configuration, shrinkage, calibration, manifest
base/                  Hugging Face directory: the base model and its tokenizer
encoder/               sentence-transformers directory: the capability encoder
head.safetensors       connector and read-out
known_cards.safetensors  effects of the training cards, and of instructions
tasks/                 the aptitude tests whose cards it reads; new candidates take one of them
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError

from modelsat.aptitude.tasks import TaskSet, load_tasks
from modelsat.artifacts.router_description import (
    DESCRIPTION_NAME,
    ROUTER_SCHEMA_VERSION,
    read_description,
)
from modelsat.artifacts.store import atomic_directory, write_json
from modelsat.config import parse_config
from modelsat.errors import ArtifactError, ConfigError
from modelsat.modeling.calibration import Calibration
from modelsat.modeling.config import ModelConfig
from modelsat.modeling.known_cards import KnownCards
from modelsat.modeling.loading import assemble_model, load_backbone, load_encoder, load_tokenizer
from modelsat.modeling.model import ModelSat
from modelsat.modeling.shrinkage import Shrinkage
from modelsat.modeling.tokenization import InstructionTokenizer

_HEAD = "head.safetensors"
_TASKS = "tasks"
_HEAD_MODULES = ("connector", "readout")
_KNOWN_CARDS = "known_cards.safetensors"
_EFFECTS = ("num_correct_KT", "effects_KT", "difficulty_E")


@dataclass(frozen=True)
class Router:
    """A loaded router.

    Attributes:
        model: the network.
        tokenizer: converts instructions to the network's input.
        config: model configuration.
        calibration: converts log-odds, after shrinkage, to probabilities.
        task_sets: the aptitude tests whose cards it was trained to read.
        known_cards: the training cards, by hash of the aptitude test.
        manifest: training data hashes, settings, metrics.
        shrinkage: weights of instruction and candidate effects against single cells.
    """

    model: ModelSat
    tokenizer: InstructionTokenizer
    config: ModelConfig
    calibration: Calibration
    task_sets: tuple[TaskSet, ...]
    manifest: dict[str, Any]
    known_cards: Mapping[str, KnownCards] = field(default_factory=dict)
    shrinkage: Shrinkage = field(default_factory=Shrinkage)

    @property
    def tasks_hashes(self) -> tuple[str, ...]:
        """Hashes of the aptitude tests."""
        return tuple(tasks.tasks_hash for tasks in self.task_sets)


def save_router(router: Router, path: str | Path) -> None:
    """Write a router directory atomically."""
    with atomic_directory(path) as directory:
        router.model.base.save_pretrained(directory / "base")
        router.tokenizer.tokenizer.save_pretrained(str(directory / "base"))
        router.model.encoder.save_pretrained(
            str(directory / "encoder"), create_model_card=False, safe_serialization=True
        )
        safetensors.torch.save_file(_head_state(router.model), directory / _HEAD)
        safetensors.numpy.save_file(_effects_state(router), directory / _KNOWN_CARDS)
        for tasks in router.task_sets:
            tasks.save(directory / _TASKS / f"{tasks.benchmark}-{tasks.tasks_hash}.json")
        description = {
            "schema_version": ROUTER_SCHEMA_VERSION,
            "model": router.config.model_dump(mode="json"),
            "shrinkage": router.shrinkage.model_dump(mode="json"),
            "calibration": router.calibration.model_dump(mode="json"),
            "tasks_hashes": list(router.tasks_hashes),
            "known_cards": {key: cards.texts for key, cards in router.known_cards.items()},
            "manifest": router.manifest,
        }
        write_json(directory / DESCRIPTION_NAME, description)


def load_router(path: str | Path) -> Router:
    """Read a router directory.

    Raises:
        ArtifactError: a part is missing or corrupt, or the schema version differs.
    """
    directory = Path(path)
    description = read_description(directory)
    source = str(directory / DESCRIPTION_NAME)
    try:
        config = parse_config(ModelConfig, description["model"], source=source)
        shrinkage = parse_config(Shrinkage, description["shrinkage"], source=source)
        calibration = parse_config(Calibration, description["calibration"], source=source)
    except (ConfigError, KeyError) as error:
        raise ArtifactError(f"{source} is corrupt: {error}") from None
    base = load_backbone(_part(directory, "base"))
    encoder = load_encoder(_part(directory, "encoder"))
    tokenizer = load_tokenizer(str(directory / "base"))
    width = base.get_input_embeddings().embedding_dim
    model, instruction_tokenizer = assemble_model(
        config, base, encoder, tokenizer, torch.zeros(2, width), seed=0
    )
    _load_head(model, directory / _HEAD)
    return Router(
        model=model.eval(),
        tokenizer=instruction_tokenizer,
        config=config,
        calibration=calibration,
        task_sets=_load_task_sets(directory, description["tasks_hashes"]),
        manifest=dict(description["manifest"]),
        known_cards=_load_known_cards(directory / _KNOWN_CARDS, description["known_cards"]),
        shrinkage=shrinkage,
    )


def _part(directory: Path, name: str) -> str:
    if not (directory / name).is_dir():
        raise ArtifactError(f"router {directory} is incomplete: {name}/ is missing; retrain it")
    return str(directory / name)


def _load_task_sets(directory: Path, hashes: list[str]) -> tuple[TaskSet, ...]:
    found = [load_tasks(path) for path in sorted((directory / _TASKS).glob("*.json"))]
    by_hash = {tasks.tasks_hash: tasks for tasks in found}
    if set(by_hash) != set(hashes):
        raise ArtifactError(
            f"router {directory} is corrupt: {_TASKS}/ has task sets {sorted(by_hash)}, but "
            f"{DESCRIPTION_NAME} lists {sorted(hashes)}; retrain it"
        )
    return tuple(by_hash[tasks_hash] for tasks_hash in hashes)


def _effects_state(router: Router) -> dict[str, npt.NDArray[np.float32]]:
    return {
        f"{key}.{name}": np.ascontiguousarray(getattr(cards, name))
        for key, cards in router.known_cards.items()
        for name in _EFFECTS
    }


def _load_known_cards(path: Path, texts: Mapping[str, list[str]]) -> dict[str, KnownCards]:
    try:
        state = safetensors.numpy.load_file(path)
        return {
            key: KnownCards(tuple(of_key), *(state[f"{key}.{name}"] for name in _EFFECTS))
            for key, of_key in texts.items()
        }
    except (OSError, SafetensorError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path} is missing or corrupt: {reason}; retrain it") from None


def _head_state(model: ModelSat) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": value.detach().contiguous()
        for name in _HEAD_MODULES
        for key, value in getattr(model, name).state_dict().items()
    }


def _load_head(model: ModelSat, path: Path) -> None:
    try:
        state = safetensors.torch.load_file(path)
        for name in _HEAD_MODULES:
            prefix = f"{name}."
            part = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            getattr(model, name).load_state_dict(part)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path} is missing or corrupt: {reason}; retrain it") from None
