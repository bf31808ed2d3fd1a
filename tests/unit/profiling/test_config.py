"""Configuration of a profiling run."""

from pathlib import Path

import pytest

import profiling
from modelsat.config import load_config, parse_config
from modelsat.errors import ConfigError
from profiling.collect_config import CollectConfig
from profiling.config import AskingConfig, ProfileConfig

CONFIGS = Path(profiling.__file__).parent / "configs"
MINIMAL = {"zoo": "zoo.yaml", "questions": ["q.parquet"], "output_dir": "out"}


@pytest.mark.parametrize(
    ("name", "model"), [("aptitude_test.yaml", ProfileConfig), ("collect.yaml", CollectConfig)]
)
def test_shipped_configuration_loads(name: str, model: type[AskingConfig]) -> None:
    config = load_config(model, CONFIGS / name, ["candidates=[a, b]", "replicas=2"])
    assert config.candidates == ("a", "b")
    assert config.replicas == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": [0, 2]}, "replicas"),
        ({"replicas": [3, 2]}, "are not bounds"),
        ({"questions": []}, "questions"),
        ({"questions": ["q.parquet", "table.pq"]}, "table.pq is not called"),
        ({"candidates": []}, "at least one candidate"),
        ({"candidates": ["a", "a"]}, "named twice"),
        ({"batch_size": 0}, "batch_size"),
        ({"block_size": 0}, "block_size"),
        ({"block_size": 31}, "batch_size 32 is above block_size 31"),
        ({"max_asking_runs": 0}, "max_asking_runs"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"candidate_deadline_s": 0}, "candidate_deadline_s"),
        ({"max_failed_fraction": 1.5}, "max_failed_fraction"),
        ({"max_parallel_candidates": 0}, "max_parallel_candidates"),
    ],
)
def test_error_names_invalid_values(change: dict[str, object], named: str) -> None:
    parse_config(ProfileConfig, MINIMAL, source="run.yaml")
    with pytest.raises(ConfigError, match=named):
        parse_config(ProfileConfig, {**MINIMAL, **change}, source="run.yaml")


@pytest.mark.parametrize(("replicas", "bounds"), [(3, (3, 3)), ([1, 4], (1, 4))])
def test_single_number_of_replicas_sets_both_bounds(
    replicas: object, bounds: tuple[int, int]
) -> None:
    config = parse_config(ProfileConfig, {**MINIMAL, "replicas": replicas}, source="run.yaml")
    assert config.replica_bounds == bounds


def test_our_profiling_package_is_imported() -> None:
    assert Path(profiling.__file__).parents[1] == Path(__file__).parents[3]
