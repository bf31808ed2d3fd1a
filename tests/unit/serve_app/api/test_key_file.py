import hashlib
import stat

import pytest
import yaml

from modelsat.errors import ConfigError, MachineError
from serve_app.api.key_file import ApiKey, KeyFile, hash_key, new_key, read_keys, write_keys

HASH = hashlib.sha256(b"secret").hexdigest()


def written(tmp_path, entries):
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump({"keys": entries}))
    return path


def test_a_key_is_256_random_bits_and_hashed_by_sha256():
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        assert key.startswith("sk-modelsat-")
        assert len(key.removeprefix("sk-modelsat-")) == 43  # 256 bits in base64
    assert hash_key("secret") == HASH


def test_a_written_file_can_be_read_by_its_owner_only(tmp_path):
    path = tmp_path / "folder" / "keys.yaml"
    keys = (
        ApiKey(name="a", sha256=HASH),
        ApiKey(name="b", sha256=hash_key("b"), role="admin"),
        ApiKey(name="c", sha256=hash_key("c"), models=("tiny*",), requests_per_minute=5),
    )
    write_keys(path, KeyFile(keys=keys))
    assert read_keys(path).keys == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_the_mode_of_a_file_that_exists_is_kept(tmp_path):
    path = written(tmp_path, [])
    path.chmod(0o640)
    write_keys(path, KeyFile())
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write"):
        write_keys(tmp_path / "file" / "keys.yaml", KeyFile())


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"name": "a"}], "keys.0.sha256"),
        ([{"name": "a", "sha256": "sk-modelsat-real-key"}], "keys.0.sha256"),
        ([{"name": "a\n", "sha256": HASH}], "keys.0.name"),
        ([{"name": "a", "sha256": HASH, "role": "root"}], "keys.0.role"),
        ([{"name": "a", "sha256": HASH, "requests_per_minute": 0}], "requests_per_minute"),
        ([{"name": "a", "sha256": HASH, "model": "x"}], "keys.0.model"),
        ([{"name": "a", "sha256": HASH}, {"name": "b", "sha256": HASH}], "same sha256"),
        ([{"name": "a", "sha256": HASH}, {"name": "a", "sha256": "0" * 64}], "same name"),
        ("a", "keys"),
    ],
)
def test_the_error_names_the_field_without_its_value(tmp_path, entries, message):
    with pytest.raises(ConfigError, match=message) as refused:
        read_keys(written(tmp_path, entries))
    assert "keys.yaml" in str(refused.value)
    assert "real-key" not in str(refused.value)
    assert HASH not in str(refused.value)


def test_patterns_say_which_candidates_a_key_may_use():
    key = ApiKey(name="a", sha256=HASH, models=("tiny/*", "exact"))
    assert [key.permits(name) for name in ("tiny/a", "exact", "exactly", "tiny")] == [
        True,
        True,
        False,
        False,
    ]
    assert ApiKey(name="a", sha256=HASH).permits("anything")
