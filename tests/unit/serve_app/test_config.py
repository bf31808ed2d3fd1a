from pathlib import Path

import pytest

import serve_app
from modelsat.config import load_config, parse_config
from modelsat.errors import ConfigError
from serve_app.config import ServeConfig

SHIPPED = sorted((Path(serve_app.__file__).parent / "configs").glob("*.yaml"))
PATHS = {"zoo": "zoo.yaml", "cards": "cards.parquet", "router": "router"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configurations_load(path):
    assert load_config(ServeConfig, path).port == 8000


def test_there_are_shipped_configurations():
    assert SHIPPED


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"prot": 1}, "prot"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"scorer": {"max_batch_size": 0}}, "scorer.max_batch_size"),
        ({"scorer": {"batch_size": 4}}, "scorer.batch_size"),
        ({"routing": {"scorer_timeout_s": 0}}, "routing.scorer_timeout_s"),
        ({"routing": {"profiles": {"cheap": {"tolerance": 2}}}}, "routing.profiles.cheap"),
        ({"candidates": {"max_ongoing_requests": 0}}, "candidates.max_ongoing_requests"),
        ({"zoo": 3}, "zoo"),
    ],
)
def test_a_wrong_value_is_named(changes, named):
    with pytest.raises(ConfigError, match=named):
        parse_config(ServeConfig, {**PATHS, **changes}, source="serve.yaml")


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("10.0.0.5", "10.0.0.5")],
)
def test_a_local_client_can_use_the_url(host, shown):
    values = {**PATHS, "host": host, "port": 81, "security": {"allow_anonymous": True}}
    config = parse_config(ServeConfig, values, source="test")
    assert config.url == f"http://{shown}:81/v1"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "model-sat.internal"])
def test_a_public_endpoint_needs_keys_or_an_explicit_setting(host):
    with pytest.raises(ConfigError, match=r"API keys.*security\.allow_anonymous"):
        parse_config(ServeConfig, {**PATHS, "host": host}, source="test")
    for security in ({"keys": "keys.yaml"}, {"allow_anonymous": True}):
        parse_config(ServeConfig, {**PATHS, "host": host, "security": security}, source="test")


def test_auto_exists_whether_listed_or_not():
    cheap = {"profiles": {"auto-cheap": {"tolerance": 0.05}}}
    config = parse_config(ServeConfig, {**PATHS, "routing": cheap}, source="test")
    assert list(config.routing.profiles) == ["auto", "auto-cheap"]
    assert list(parse_config(ServeConfig, PATHS, source="test").routing.profiles) == ["auto"]
