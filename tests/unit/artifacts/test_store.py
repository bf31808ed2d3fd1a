import errno
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.artifacts import schemas, store
from modelsat.artifacts.schemas import CANDIDATES, OUTCOMES, QUESTIONS, TableSchema
from modelsat.artifacts.store import (
    atomic_directory,
    atomic_path,
    read_json,
    read_manifest,
    read_table,
    write_json,
    write_table,
)
from modelsat.errors import ArtifactError, MachineError

ROWS = [
    {"question_id": "q1", "candidate": "a", "correct": 1.0, "output": "B"},
    {"question_id": "q2", "candidate": "a", "correct": None, "failure": "timeout"},
]


@pytest.fixture
def outcomes(tmp_path):
    path = tmp_path / "deep" / "outcomes.parquet"
    write_table(OUTCOMES, ROWS, path, {"engine": "fake", "seed": 3})
    return path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_rows_and_manifest_round_trip(outcomes):
    table = read_table(OUTCOMES, outcomes)
    assert table.schema.equals(OUTCOMES.arrow)
    assert [row["correct"] for row in table.to_pylist()] == [1.0, None]
    assert [row["failure"] for row in table.to_pylist()] == [None, "timeout"]
    assert table["latency_s"].null_count == 2
    assert read_manifest(outcomes) == {"engine": "fake", "seed": 3}
    assert names_in(outcomes.parent) == ["outcomes.parquet"]


@given(
    st.lists(
        st.fixed_dictionaries(
            {"candidate": st.text()},
            optional={
                "family": st.none() | st.text(),
                "params_b": st.none() | st.floats(allow_nan=False),
                "open_weights": st.none() | st.booleans(),
            },
        ),
        unique_by=lambda row: row["candidate"],
    )
)
def test_any_rows_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    write_table(CANDIDATES, rows, path)
    nothing = dict.fromkeys(CANDIDATES.arrow.names)
    assert read_table(CANDIDATES, path).to_pylist() == [{**nothing, **row} for row in rows]


def test_tables_of_other_software_are_validated_by_columns_only(tmp_path):
    path = tmp_path / "foreign.parquet"
    foreign = pa.table(
        {
            "question_id": pa.array(["q"]).dictionary_encode(),
            "candidate": pa.array(["c"], pa.large_string()),
            "correct": pa.array([True]),
            "own_column": pa.array([1]),
        }
    )
    pq.write_table(foreign, path)
    row = read_table(OUTCOMES, path).to_pylist()[0]
    assert (row["question_id"], row["candidate"], row["correct"]) == ("q", "c", 1.0)
    assert "own_column" not in row
    assert read_manifest(path) == {}


def test_rejects_another_schema_version(tmp_path):
    path = tmp_path / "t.parquet"
    newer = TableSchema("outcomes", 2, OUTCOMES.fields, OUTCOMES.key)
    write_table(newer, ROWS, path)
    with pytest.raises(ArtifactError, match=r"t\.parquet has outcomes schema version 2.*version 1"):
        read_table(OUTCOMES, path)


def test_rejects_another_kind_of_table(tmp_path):
    path = tmp_path / "t.parquet"
    same_columns = TableSchema("other", 1, OUTCOMES.fields, OUTCOMES.key)
    write_table(same_columns, ROWS, path)
    with pytest.raises(ArtifactError, match="is a other table; expected a outcomes table"):
        read_table(OUTCOMES, path)


def test_error_names_missing_columns(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"question_id": ["q"]}), path)
    with pytest.raises(ArtifactError, match=r"lacks the questions columns \['benchmark', 'task'"):
        read_table(QUESTIONS, path)


def test_error_names_a_column_of_the_wrong_type(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"question_id": ["q"], "candidate": ["c"], "correct": ["no"]}), path)
    with pytest.raises(ArtifactError, match=r"column 'correct' has type string"):
        read_table(OUTCOMES, path)


def test_rejects_truncated_and_non_parquet_files(outcomes, tmp_path):
    data = outcomes.read_bytes()
    for name, content in {"cut": data[:-20], "text": b"hello", "empty": b""}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match=f"{name} is not a readable parquet file"):
            read_table(OUTCOMES, path)
        with pytest.raises(ArtifactError, match=f"{name} is not a readable parquet file"):
            read_manifest(path)
    with pytest.raises(ArtifactError, match="gone does not exist"):
        read_table(OUTCOMES, tmp_path / "gone")
    with pytest.raises(ArtifactError, match="gone does not exist"):
        read_manifest(tmp_path / "gone")


def test_detects_a_flipped_byte(tmp_path):
    path = tmp_path / "t.parquet"
    rows = [{"candidate": f"candidate-{i:04}"} for i in range(2000)]
    write_table(CANDIDATES, rows, path)
    data = bytearray(path.read_bytes())
    data[100] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ArtifactError):
        read_table(CANDIDATES, path)


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([{"question_id": "q"}], "column 'candidate' has 1 nulls"),
        ([{"question_id": "q", "candidate": "c", "corect": 1.0}], "corect"),
        ([{"question_id": "q", "candidate": "c", "correct": "yes"}], "'yes'.*float32"),
        ([ROWS[0], {**ROWS[0], "correct": 0.0}], "'question_id': 'q1'"),
        (pa.table({"question_id": ["q"]}), "lacks the outcomes column 'candidate'"),
        (pa.table({"question_id": ["q"], "candidate": ["c"], "x": [1]}), "x"),
    ],
)
def test_rejects_rows_that_violate_the_schema(tmp_path, rows, named):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"earlier")
    with pytest.raises(ArtifactError, match=named):
        write_table(OUTCOMES, rows, path)
    assert path.read_bytes() == b"earlier"
    assert names_in(tmp_path) == ["t.parquet"]


def test_a_question_may_have_outcomes_of_two_sources(tmp_path):
    path = tmp_path / "t.parquet"
    row = {"question_id": "q", "candidate": "c"}
    write_table(OUTCOMES, [{**row, "source": "s1"}, {**row, "source": "s2"}, row], path)
    assert read_table(OUTCOMES, path).num_rows == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_interrupted_write_preserves_the_previous_file(tmp_path, stop):
    path = tmp_path / "f.json"
    write_json(path, {"v": 1})
    with pytest.raises(stop), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise stop
    assert read_json(path) == {"v": 1}
    assert names_in(tmp_path) == ["f.json"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_interrupted_write_preserves_the_previous_directory(tmp_path, stop):
    path = tmp_path / "router"
    with atomic_directory(path) as temporary:
        (temporary / "weights").write_text("first")
    with pytest.raises(stop), atomic_directory(path) as temporary:
        (temporary / "weights").write_text("half")
        raise stop
    assert (path / "weights").read_text() == "first"
    assert names_in(tmp_path) == ["router"]


def test_directory_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "router"
    for name in ("first", "second"):
        with atomic_directory(path) as temporary:
            (temporary / name).write_text(name)
    assert names_in(path) == ["second"]
    assert names_in(tmp_path) == ["router"]


def test_previous_directory_is_restored_if_the_rename_fails(tmp_path, monkeypatch):
    path = tmp_path / "router"
    with atomic_directory(path) as temporary:
        (temporary / "weights").write_text("first")
    real = os.replace

    def failing(source, target):
        if target == path and not (source / "weights").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(store.os, "replace", failing)
    with pytest.raises(MachineError, match="router"), atomic_directory(path):
        pass
    assert (path / "weights").read_text() == "first"
    assert names_in(tmp_path) == ["router"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_raises_machine_error(tmp_path, number):
    path = tmp_path / "f"
    full = OSError(number, os.strerror(number))
    expected = r"no disk space left while writing .*f; free"
    with pytest.raises(MachineError, match=expected), atomic_path(path):
        raise full
    assert names_in(tmp_path) == []


def test_unwritable_path_raises_machine_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write"):
        write_json(tmp_path / "file" / "below.json", {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(MachineError, match="cannot write"):
        write_json(tmp_path / "folder", {})


@pytest.mark.parametrize("text", ["[1]", "{", ""])
def test_rejects_json_that_is_not_an_object(tmp_path, text):
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=r"f\.json"):
        read_json(path)
    with pytest.raises(ArtifactError, match="gone does not exist"):
        read_json(tmp_path / "gone")


def test_key_columns_are_columns_of_the_schema():
    tables = [value for value in vars(schemas).values() if isinstance(value, TableSchema)]
    assert len(tables) >= 4
    for table in tables:
        assert set(table.key) <= set(table.arrow.names)
