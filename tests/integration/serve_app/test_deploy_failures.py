"""What cannot start: one readable error, and nothing of the run left behind."""

import shutil
from pathlib import Path

import pytest
import yaml
from ray import serve

from modelsat.errors import ArtifactError, ZooError
from serve_app.lifecycle import deploy
from tests.support.serve_app.served import Artifacts
from tests.support.serve_app.stage import Stage
from tests.support.serve_app.tiny_artifacts import remote_entry, write_card_table, write_zoo

pytestmark = [
    pytest.mark.ray,
    # The zoo of these tests sets this field; test_endpoint.py says why.
]


def test_a_misspelt_engine_option_is_named_and_nothing_is_left(
    artifacts: Artifacts, stage: Stage, tmp_path: Path
):
    stage.clear()
    zoo = yaml.safe_load(artifacts.zoo.read_text())
    zoo["candidates"][1]["llm_config"]["engine_kwargs"]["max_modle_len"] = 64
    zoo["candidates"][0] = remote_entry(zoo["candidates"][0]["name"], "http://127.0.0.1:1/v1")
    zoo["candidates"][2]["same_engine_as"] = zoo["candidates"][1]["name"]
    path = tmp_path / "zoo.yaml"
    path.write_text(yaml.safe_dump(zoo))
    with pytest.raises(ZooError, match=r"tiny-elastic.*max_modle_len"):
        deploy(artifacts.config(zoo=path))
    assert serve.status().applications == {}


def test_a_router_with_corrupt_weights_is_named_and_nothing_is_left(
    artifacts: Artifacts, stage: Stage, tmp_path: Path
):
    stage.clear()
    router = shutil.copytree(artifacts.router, tmp_path / "router")
    (router / "head.safetensors").write_bytes(b"no weights")
    zoo = write_zoo(tmp_path / "zoo.yaml", [remote_entry("remote", "http://127.0.0.1:1/v1")])
    cards = write_card_table(tmp_path / "cards.parquet", ["remote"])
    with pytest.raises(ArtifactError, match=r"router cannot start.*head\.safetensors") as refused:
        deploy(artifacts.config(router=router, zoo=zoo, cards=cards))
    assert "\n" not in str(refused.value)
    assert serve.status().applications == {}
