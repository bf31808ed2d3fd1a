import os
from datetime import UTC, datetime

import pytest

from modelsat.capability.cards import read_cards
from modelsat.errors import ArtifactError
from modelsat.zoo.zoo_file import load_zoo
from serve_app.contracts.zoo_state import ZooState
from serve_app.registry.store import ZooStore
from tests.support.serve_app.zoos import (
    card,
    local_entry,
    remote_entry,
    state,
    stored,
    with_version,
    zoo,
)

PRICE = {"input_usd_per_mtok": 0.15, "output_usd_per_mtok": 0.6}


def write(store, served, change="changed"):
    return store.write(served, change=change, router_hash="r", seed="s")


def test_a_version_comes_back_as_it_was_written(tmp_path):
    entries = [
        remote_entry("a/b", price=PRICE, tools=True, modalities=["text", "image"]),
        local_entry("c", autoscaling_config={"min_replicas": 0, "max_replicas": None}),
        remote_entry("pinned-only", api_key_env="SOME_KEY"),
    ]
    served = ZooState(7, zoo(*entries), (card("a/b", notes="two\nlines"), card("c", 1, 2)), "/r")
    store = stored(tmp_path, served)
    assert store.read(7) == served
    assert store.newest() == (served, store.record(7))


def test_its_files_are_ordinary_artifacts(tmp_path):
    served = state(remote_entry("a"), local_entry("b"), version=7)
    clock = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    stored(tmp_path, served, clock=lambda: clock)
    folder = tmp_path / "versions" / "000007"
    assert load_zoo(folder / "zoo.yaml") == served.zoo
    assert tuple(read_cards(folder / "cards.parquet").values()) == served.cards
    assert '"created_at": "2026-01-02T03:04:05Z"' in (folder / "version.json").read_text()


def test_only_the_newest_versions_are_kept(tmp_path):
    served = state(remote_entry("a"))
    store = ZooStore(tmp_path, num_versions=3)
    for version in range(1, 6):
        write(store, with_version(served, version))
    assert [record.version for record in store.records()] == [5, 4, 3]
    assert sorted(os.listdir(tmp_path / "versions")) == ["000003", "000004", "000005"]
    with pytest.raises(ArtifactError, match="version 2 does not exist; there are 3 to 5"):
        store.read(2)


def test_a_version_that_was_not_finished_does_not_exist(tmp_path, monkeypatch):
    served = state(remote_entry("a"))
    store = stored(tmp_path, served)

    def crash(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("serve_app.registry.store.write_json", crash)
    with pytest.raises(KeyboardInterrupt):
        write(store, with_version(served, 2))
    monkeypatch.undo()
    assert store.newest() == (served, store.record(1))
    assert write(store, with_version(served, 2)).version == 2


@pytest.mark.parametrize("damage", ["version.json", "zoo.yaml", "cards.parquet"])
def test_a_damaged_version_is_skipped(tmp_path, damage):
    served = state(remote_entry("a"))
    store = stored(tmp_path, served)
    write(store, with_version(served, 2))
    (tmp_path / "versions" / "000002" / damage).write_bytes(b"{")
    assert store.newest()[0] == served
    assert store.next_version() == 3


def test_a_second_writer_is_refused(tmp_path):
    served = state(remote_entry("a"))
    ours = stored(tmp_path, served)
    theirs = ZooStore(tmp_path, num_versions=3)
    write(theirs, with_version(served, 2), "theirs")
    with pytest.raises(ArtifactError, match="another endpoint uses this folder"):
        write(ours, with_version(served, 2), "ours")
    assert ours.record(2).change == "theirs"


def test_a_folder_with_files_of_another_version_is_refused(tmp_path):
    store = stored(tmp_path, state(remote_entry("a")))
    write(store, state(remote_entry("b"), version=2))
    folder = tmp_path / "versions"
    os.replace(folder / "000001" / "cards.parquet", folder / "000002" / "cards.parquet")
    with pytest.raises(ArtifactError, match="belong to different versions"):
        store.read(2)
