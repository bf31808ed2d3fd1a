"""Storage of a run's checkpoints: a folder, or a URL that pyarrow or fsspec can open."""

import json
from contextlib import suppress
from pathlib import Path

from pyarrow.fs import FileSelector, FileSystem, FileType

from modelsat.errors import CheckpointError, ConfigError

PROGRESS_NAME = "progress.json"  # in every checkpoint; has the number of workers


def is_url(storage_path: str) -> bool:
    """Whether a storage path is a URL rather than a folder."""
    return "://" in storage_path


def absolute_storage(storage_path: str) -> str:
    """Make a storage path independent of the working directory."""
    return storage_path if is_url(storage_path) else str(Path(storage_path).resolve())


def open_run(storage_path: str, run: str) -> tuple[FileSystem, str]:
    """Return the file system of a run and its folder there, which need not exist.

    Raises:
        ConfigError: the URL cannot be opened.
    """
    try:
        filesystem, root = FileSystem.from_uri(storage_path)
    except (ValueError, ImportError, OSError) as error:
        raise ConfigError(
            f"storage_path {storage_path} cannot be opened: {_first_line(error)}; use a folder, "
            "or a URL such as s3://bucket/folder, gs://bucket/folder or fsspec+PROTOCOL://..."
        ) from None
    return filesystem, f"{root.rstrip('/')}/{run}"


def workers_of_run(storage_path: str, run: str) -> int | None:
    """Return the number of workers that wrote a run's checkpoints; None if there are none.

    Raises:
        ConfigError: the URL cannot be opened.
        CheckpointError: the storage cannot be read.
    """
    filesystem, folder = open_run(storage_path, run)
    try:
        found = filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
        for checkpoint in found:
            progress = f"{checkpoint.path}/{PROGRESS_NAME}"
            if filesystem.get_file_info(progress).type != FileType.File:
                continue
            with filesystem.open_input_stream(progress) as stream:
                return int(json.loads(stream.read())["num_workers"])
    except OSError as error:
        raise CheckpointError(
            f"{storage_path} cannot be read: {_first_line(error)}; check that it is reachable "
            "from this machine, and run the same command again"
        ) from None
    return None


def delete_incomplete(storage_path: str, run: str) -> None:
    """Delete the checkpoints of a failed run that were not written to their end.

    Workers write parts of one checkpoint. When one of them fails, the part of another may come
    after the failed one has cleaned up.
    """
    filesystem, folder = open_run(storage_path, run)
    with suppress(OSError):  # the run's own error says more
        for found in filesystem.get_file_info(FileSelector(folder, allow_not_found=True)):
            is_checkpoint = found.base_name.startswith("checkpoint_")
            if not is_checkpoint or found.type != FileType.Directory:
                continue
            if filesystem.get_file_info(f"{found.path}/{PROGRESS_NAME}").type != FileType.File:
                filesystem.delete_dir(found.path)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
