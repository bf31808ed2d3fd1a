import hashlib
import subprocess
import sys

import pytest

from modelsat.artifacts.hashing import content_hash, directory_hash, file_hash
from modelsat.errors import ArtifactError


def test_content_hash_is_sha256_of_compact_sorted_json():
    expected = hashlib.sha256(b'{"a":[1,2.5],"b":"x"}').hexdigest()[:16]
    assert content_hash({"b": "x", "a": (1, 2.5)}) == expected


def test_content_hash_does_not_depend_on_hash_randomisation():
    code = "from modelsat.artifacts.hashing import content_hash as h; print(h({'b': 1, 'a': 'x'}))"
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1] != b""


def test_file_hash_is_sha256_of_the_bytes(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    assert file_hash(path) == hashlib.sha256(b"abc").hexdigest()[:16]


def test_directory_hash_depends_on_paths_and_bytes(tmp_path):
    def make(name, files):
        for relative, text in files.items():
            path = tmp_path / name / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return directory_hash(tmp_path / name)

    first = make("a", {"x": "1", "sub/y": "2"})
    assert make("same", {"sub/y": "2", "x": "1"}) == first
    others = [
        make("renamed", {"z": "1", "sub/y": "2"}),
        make("edited", {"x": "1", "sub/y": "3"}),
        make("moved", {"x": "1", "y": "2"}),
        make("more", {"x": "1", "sub/y": "2", "z": ""}),
    ]
    assert len({first, *others}) == 5
    assert directory_hash(tmp_path / "more", exclude=["z"]) == first


def test_error_names_an_unreadable_path(tmp_path):
    with pytest.raises(ArtifactError, match="gone"):
        file_hash(tmp_path / "gone")
    with pytest.raises(ArtifactError, match="gone"):
        directory_hash(tmp_path / "gone")
