"""Atomic reading and writing of tables, text files and directories.

A file appears complete or not at all: it is written to a temporary sibling, then renamed. A
table's manifest is stored in the parquet footer, so the two cannot be separated.
"""

import errno
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modelsat.artifacts.schemas import TableSchema
from modelsat.errors import ArtifactError, MachineError

_SCHEMA_KEY = b"modelsat.schema"
_VERSION_KEY = b"modelsat.schema_version"
_MANIFEST_KEY = b"modelsat.manifest"
# EEXIST and EISDIR: a file is in the place of a folder, or a folder in the place of the file.
_UNWRITABLE = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
        *(errno.ENOENT, errno.EINVAL, errno.ENAMETOOLONG),  # of file systems such as /proc
    }
)


def write_table(
    schema: TableSchema,
    rows: pa.Table | Sequence[Mapping[str, Any]],
    path: str | Path,
    manifest: Mapping[str, Any] | None = None,
) -> None:
    """Write a table atomically, with schema version and manifest in its footer.

    Args:
        schema: kind of table.
        rows: an Arrow table, or mappings from column to value; nullable columns may be absent.
        path: parquet file; its folder is created.
        manifest: JSON-serialisable facts about how the table was made.

    Raises:
        ArtifactError: columns are missing, unknown or contain nulls that are not allowed, or a
            key is duplicated.
        MachineError: the disk is full or the folder cannot be written.
    """
    if isinstance(rows, pa.Table):
        names = set(rows.column_names)
    else:
        names = {name for row in rows for name in row}
    unknown = sorted(names - set(schema.arrow.names))
    if unknown:
        raise ArtifactError(
            f"{schema.name} table has unknown columns {unknown}; allowed: {schema.arrow.names}"
        )
    if not isinstance(rows, pa.Table):
        rows = _from_rows(schema, rows, names)
    table = _conform(schema, rows, source=f"{schema.name} to be written to {path}")
    metadata = _metadata(schema, manifest or {})
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)


class TableWriter:
    """A table that is written in pieces; see :func:`open_table`."""

    def __init__(self, schema: TableSchema, path: Path) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema.arrow)
        self.manifest: dict[str, Any] = {}

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the next rows.

        Raises:
            ArtifactError: a column has a wrong type, or a required one has nulls.
        """
        table = _from_rows(self._schema, rows, set(self._schema.arrow.names))
        self._writer.write_table(_conform(self._schema, table, source=self._schema.name))

    def close(self) -> None:
        """Write the footer, with the manifest as it is now."""
        self._writer.add_key_value_metadata(_metadata(self._schema, self.manifest))
        self._writer.close()


@contextmanager
def open_table(schema: TableSchema, path: str | Path) -> Iterator[TableWriter]:
    """Write a table in pieces; it appears when the block succeeds.

    The caller sets the writer's ``manifest`` before the end and keeps keys unique.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    with atomic_path(path) as temporary:
        writer = TableWriter(schema, temporary)
        try:
            yield writer
        finally:
            writer.close()


def _metadata(schema: TableSchema, manifest: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {
        _SCHEMA_KEY: schema.name.encode(),
        _VERSION_KEY: str(schema.version).encode(),
        _MANIFEST_KEY: json.dumps(manifest, sort_keys=True).encode(),
    }


def read_table(schema: TableSchema, path: str | Path) -> pa.Table:
    """Read and validate a table; absent nullable columns are filled with nulls.

    A file written by other software has none of our metadata; only its columns are checked.
    Columns that are not in the schema are dropped.

    Raises:
        ArtifactError: missing or unreadable file, another kind or schema version, missing
            column, wrong type, null in a required column, or duplicate key.
    """
    path = Path(path)
    names = _check_readable(schema, path)
    with _read_errors(path):
        table = pq.read_table(path, columns=[n for n in schema.arrow.names if n in names])
    _check_kind(schema, _footer(path), path)
    return _conform(schema, table, source=str(path))


def check_table(schema: TableSchema, path: str | Path) -> None:
    """Validate a table's kind, version and columns without reading its rows.

    Raises:
        ArtifactError: as :func:`read_table`, except for errors in the rows.
    """
    path = Path(path)
    _check_readable(schema, path)
    header = pq.read_schema(path)
    _check_kind(schema, _footer(path), path)
    _conform(schema, header.empty_table(), source=str(path))


def _footer(path: Path) -> Mapping[bytes, bytes]:
    """Return the facts in a parquet file's footer; those of the schema alone lack later ones."""
    facts: Mapping[bytes, bytes] = pq.read_metadata(path).metadata or {}
    return facts


def _check_kind(schema: TableSchema, metadata: Mapping[bytes, bytes], path: Path) -> None:
    kind = metadata.get(_SCHEMA_KEY, schema.name.encode()).decode()
    if kind != schema.name:
        raise ArtifactError(f"{path} is a {kind} table; expected a {schema.name} table")
    version = metadata.get(_VERSION_KEY, str(schema.version).encode()).decode()
    if version != str(schema.version):
        raise ArtifactError(
            f"{path} has {schema.name} schema version {version}; this release reads version "
            f"{schema.version}: write the table again, or use the release that wrote it"
        )


def read_kind(path: str | Path) -> str | None:
    """Return the kind of a table, such as ``questions``; None if the file does not say.

    Raises:
        ArtifactError: missing or unreadable file.
    """
    path = Path(path)
    if not path.exists():
        raise ArtifactError(f"{path} does not exist")
    with _read_errors(path):
        kind = _footer(path).get(_SCHEMA_KEY)
    return None if kind is None else kind.decode()


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read the manifest stored by :func:`write_table`; empty for other software's tables.

    Raises:
        ArtifactError: the file is missing or not parquet.
    """
    path = Path(path)
    if not path.exists():
        raise ArtifactError(f"{path} does not exist")
    with _read_errors(path):
        manifest: dict[str, Any] = json.loads(_footer(path).get(_MANIFEST_KEY, b"{}"))
    return manifest


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``; rename it into place if the block succeeds.

    Its permissions are those that the process's umask leaves, as for any new file.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    with _write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _sibling(path)
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling directory; replace ``path`` with it if the block succeeds.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    with _write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _sibling(path)
        temporary.mkdir()
        try:
            yield temporary
            if path.exists():
                backup = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
                os.replace(path, backup / path.name)
                try:
                    os.replace(temporary, path)
                except BaseException:
                    os.replace(backup / path.name, path)
                    raise
                finally:
                    shutil.rmtree(backup)
            else:
                os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _sibling(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write an indented JSON file atomically, preserving the order of keys."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON file that must hold an object.

    Raises:
        ArtifactError: the file is missing, unreadable, malformed, or not an object.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is not readable JSON: {error}") from None
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} must contain a JSON object, found {type(value).__name__}")
    return value


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MachineError(
                f"no disk space left while writing {path}; free some space and retry"
            ) from None
        if error.errno in _UNWRITABLE:
            raise MachineError(
                f"cannot write {path}: {error.strerror}; pass a writable path"
            ) from None
        raise


def _from_rows(schema: TableSchema, rows: Sequence[Mapping[str, Any]], names: set[str]) -> pa.Table:
    fields = [field for field in schema.fields if field.name in names or not field.nullable]
    try:
        return pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(fields))
    except (pa.ArrowException, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"rows do not fit the {schema.name} schema: {reason}") from None


def _check_readable(schema: TableSchema, path: Path) -> list[str]:
    """Return a parquet file's column names; raise if a required column is missing."""
    if not path.exists():
        raise ArtifactError(f"{schema.name} table {path} does not exist")
    with _read_errors(path):
        names: list[str] = pq.read_schema(path).names
    missing = [f.name for f in schema.fields if not f.nullable and f.name not in names]
    if missing:
        raise ArtifactError(
            f"{path} lacks the {schema.name} columns {missing}; found {sorted(names)}"
        )
    return names


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path} is not a readable parquet file: {reason}") from None


def _conform(schema: TableSchema, table: pa.Table, *, source: str) -> pa.Table:
    columns = []
    for field in schema.fields:
        if field.name not in table.column_names:
            if not field.nullable:
                raise ArtifactError(f"{source} lacks the {schema.name} column {field.name!r}")
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        try:
            column = table[field.name].cast(field.type)
        except pa.ArrowException as error:
            raise ArtifactError(
                f"{source}: column {field.name!r} has type {table[field.name].type}, which cannot "
                f"be cast to {field.type}: {error}"
            ) from None
        if not field.nullable and column.null_count:
            raise ArtifactError(
                f"{source}: column {field.name!r} has {column.null_count} nulls; none are allowed"
            )
        columns.append(column)
    result = pa.table(columns, schema=schema.arrow)
    _check_key(schema, result, source)
    return result


def _check_key(schema: TableSchema, table: pa.Table, source: str) -> None:
    counts = table.select(schema.key).group_by(list(schema.key)).aggregate([([], "count_all")])
    repeated = counts.filter(pc.greater(counts["count_all"], 1))
    if repeated.num_rows:
        first = {name: repeated[name][0].as_py() for name in schema.key}
        raise ArtifactError(
            f"{source}: {repeated.num_rows} duplicate keys, the first is {first}; "
            f"{' + '.join(schema.key)} must be unique"
        )
