import json
from pathlib import Path

import pytest
import yaml

from modelsat.artifacts.router_description import ROUTER_SCHEMA_VERSION
from modelsat.capability.cards import write_cards
from modelsat.errors import ArtifactError, ConfigError, ZooError
from serve_app.config import RoutingOptions, ServeConfig
from serve_app.registry.changes import remove_candidate
from serve_app.registry.seed import continue_or_seed, read_seed
from serve_app.registry.store import ZooStore
from tests.support.serve_app.zoos import RULES, card, local_entry, remote_entry, write_router


class Files:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.write_zoo(remote_entry("a"), remote_entry("b"))
        write_cards([card("b"), card("a"), card("stranger")], root / "cards.parquet")
        write_router(root / "router")

    def write_zoo(self, *entries, comment=""):
        text = yaml.safe_dump({"version": 1, "candidates": list(entries)})
        (self.root / "zoo.yaml").write_text(f"# {comment}\n{text}")

    def config(self, **changes):
        paths = {"zoo": "zoo.yaml", "cards": "cards.parquet", "router": "router"}
        return ServeConfig(**{key: self.root / name for key, name in paths.items()}, **changes)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture
def store(tmp_path):
    return ZooStore(tmp_path / "registry", num_versions=20)


def test_the_first_version_comes_from_the_configured_files(files, store):
    served, record = continue_or_seed(store, read_seed(files.config()))
    assert (served.version, served.zoo.names) == (1, ("a", "b"))
    assert [c.candidate for c in served.cards] == ["a", "b"]
    assert served.router == str(files.root / "router")
    assert record.change == "configured files"


def test_changes_made_while_serving_survive_a_restart(files, store):
    served, record = continue_or_seed(store, read_seed(files.config()))
    changed = remove_candidate(served, "a", rules=RULES)
    store.write(changed, change="x", router_hash=record.router_hash, seed=record.seed)
    files.write_zoo(remote_entry("a"), remote_entry("b"), comment="says the same")
    assert continue_or_seed(store, read_seed(files.config()))[0] == changed


@pytest.mark.parametrize("what", ["zoo", "cards", "router"])
def test_changed_files_take_effect(files, store, what):
    continue_or_seed(store, read_seed(files.config()))
    if what == "zoo":
        files.write_zoo(remote_entry("a", context_window=9), remote_entry("b"))
    elif what == "cards":
        write_cards([card("b"), card("a", 1, 2)], files.root / "cards.parquet")
    else:
        (files.root / "router" / "weights").write_bytes(b"other")
    served, record = continue_or_seed(store, read_seed(files.config()))
    assert (served.version, record.change) == (2, "configured files")


def test_model_directories_become_absolute(files, store, monkeypatch):
    (files.root / "models" / "tiny").mkdir(parents=True)
    files.write_zoo(local_entry("a", "models/tiny"), local_entry("b", "./models/tiny"))
    monkeypatch.chdir(files.root)
    served, _ = continue_or_seed(store, read_seed(files.config()))
    assert {c.source for c in served.zoo.local} == {str(files.root / "models" / "tiny")}
    assert store.read(1) == served


def test_a_candidate_without_a_card_is_kept_and_not_routed(files):
    files.write_zoo(remote_entry("a"), remote_entry("pinned-only"))
    seed = read_seed(files.config())
    assert seed.zoo.names == ("a", "pinned-only")
    assert [c.candidate for c in seed.cards] == ["a"]


def test_files_that_do_not_fit_together_are_refused(files):
    files.write_zoo(remote_entry("c"))
    with pytest.raises(ZooError, match=r"no candidate of .* has a card"):
        read_seed(files.config())
    files.write_zoo(remote_entry("a"))
    with pytest.raises(ConfigError, match="'a' is both a candidate and a routing profile"):
        read_seed(files.config(routing=RoutingOptions(profiles={"a": {}})))
    with pytest.raises(ConfigError, match="default_candidate 'b' is not a candidate"):
        read_seed(files.config(routing=RoutingOptions(default_candidate="b")))
    (files.root / "router" / "router.json").write_text(
        json.dumps({"schema_version": ROUTER_SCHEMA_VERSION, "tasks_hashes": ["x"]})
    )
    with pytest.raises(ArtifactError, match="comes from task set"):
        read_seed(files.config())
