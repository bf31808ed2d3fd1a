"""Images of questions: kept beside the table by a hash of their content, and put into chats.

The column ``images`` of a questions table lists files relative to the table's folder, such as
``images/0f3a....png``. A mark ``<image1>`` in the prompt is the place of the first image; images
without a mark come before the text.
"""

import base64
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa

from modelsat.artifacts.store import atomic_path
from modelsat.errors import ArtifactError

FOLDER = "images"
MAX_BYTES = 20 * 2**20  # of an image file; providers accept about as much
MAX_PIXELS = 50_000_000
# MPO: a JPEG file with further pictures after the first, as many cameras write.
_KINDS = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "WEBP": "webp", "GIF": "gif"}
_OFFERED = ("PNG", "JPEG", "WEBP", "GIF")
_HASH_DIGITS = 32
_NAMED_CHARS = 200  # of a path or a URL in a message; longer texts are images themselves
_TIMEOUT_S = 30.0
_MARK = re.compile(r"<image ?(\d+)>")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{64,}={0,2}")
_DATA_URL = re.compile(r"\Adata:image/[\w.+-]+(?:;[\w=.-]+)*;base64,", re.IGNORECASE)


class UnusableImage(ValueError):
    """An image is missing, too large, broken or of an unknown kind; in words for the user."""


class ImageWriter:
    """Stores the images of a table that is being written; deletes them again if that fails.

    Args:
        folder: folder of the table.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: list[Path] = []

    def __enter__(self) -> "ImageWriter":
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Delete the images that this writer has written, if the block failed."""
        if kind is not None:
            for path in self._written:
                path.unlink(missing_ok=True)

    def keep_only(self, names: Iterable[str]) -> None:
        """Delete the images that this writer has written and that no question has any more."""
        kept = {self._folder / name for name in names}
        for path in self._written:
            if path not in kept:
                path.unlink(missing_ok=True)

    def store(self, value: Any, source: Path) -> str:
        """Store an image and return its entry in the column ``images``.

        Args:
            value: the image as people state it; see :func:`image_bytes`.
            source: folder of the table that states it.

        Raises:
            UnusableImage: it is missing, too large, broken or of an unknown kind.
            MachineError: it cannot be written.
        """
        data = image_bytes(value, source)
        try:
            kind = check_image(data)
        except UnusableImage as error:
            named = f"{value!r} " if isinstance(value, str) and len(value) <= _NAMED_CHARS else ""
            raise UnusableImage(f"{named}{error}") from None
        name = f"{FOLDER}/{hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]}.{kind}"
        path = self._folder / name
        if not path.exists():
            with atomic_path(path) as temporary:
                temporary.write_bytes(data)
            self._written.append(path)
        return name


def check_marks(prompt: str, num_images: int) -> None:
    """Check that every mark in a prompt has its image.

    Raises:
        UnusableImage: a mark's number is above the number of images.
    """
    missing = [number for number in _MARK.findall(prompt) if not 1 <= int(number) <= num_images]
    if missing:
        raise UnusableImage(f"of the mark <image{missing[0]}> is missing; there are {num_images}")


def check_image(data: bytes) -> str:
    """Decode an image and return its kind: ``png``, ``jpeg``, ``webp`` or ``gif``.

    Raises:
        UnusableImage: it is too large, broken or of another kind.
    """
    from PIL import Image

    if len(data) > MAX_BYTES:
        raise UnusableImage(f"has {len(data) / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20}")
    try:
        with Image.open(io.BytesIO(data), formats=_OFFERED) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnusableImage(
                    f"has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} in all"
                )
            image.load()
            return _KINDS[str(image.format)]
    except UnusableImage:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UnusableImage(f"cannot be read as {', '.join(_OFFERED)}") from None


def image_bytes(value: Any, folder: Path) -> bytes:
    """Return the content of an image as people state it.

    Args:
        value: bytes; a path, relative to ``folder``; a URL; a ``data:`` URL; base64 text; or a
            mapping with ``bytes`` or ``path``, as datasets on the Hugging Face hub have it.
        folder: folder of the table that states it.

    Raises:
        UnusableImage: there is no such file, or the URL does not answer with one.
    """
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        value = value.strip()
    if not isinstance(value, str) or not value:
        raise UnusableImage(f"is stated as {type(value).__name__}; give bytes, a path or a URL")
    if value.startswith(("http://", "https://")):
        return _download(value)
    if _DATA_URL.match(value):
        return _decoded(value.partition(",")[2])
    packed = "".join(value.split())
    if _BASE64.fullmatch(packed):
        return _decoded(packed)
    try:
        if (folder / value).is_file():
            return (folder / value).read_bytes()
    except OSError as error:  # a name that is too long, or a file that cannot be read
        raise UnusableImage(f"{value[:80]!r} cannot be read: {error.strerror}") from None
    raise UnusableImage(f"{value[:80]!r} does not exist in {folder}")


def read_image(name: str, folders: Sequence[str]) -> bytes:
    """Return the content of an image of a questions table.

    Args:
        name: entry of the column ``images``.
        folders: folders of the tables that may hold it.

    Raises:
        ArtifactError: no folder has it, or its content is not that of its name.
    """
    for folder in folders:
        path = Path(folder) / name
        if path.is_file():
            data = path.read_bytes()
            if not Path(name).stem.startswith(hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]):
                raise ArtifactError(f"{path} was changed: its content does not fit its name")
            return data
    raise ArtifactError(
        f"image {name} is in none of {', '.join(folders)}; copy the folder {FOLDER!r} along with "
        "the questions table"
    )


def copy_images(questions: pa.Table, source: Path, target: Path) -> None:
    """Copy the images of a questions table to the folder of another one.

    Args:
        questions: the table.
        source: folder of its images' folder.
        target: folder of the new table; nothing is done if it is the same.

    Raises:
        ArtifactError: an image is missing or was changed.
        MachineError: an image cannot be written.
    """
    if source.resolve() == target.resolve():
        return
    for name in sorted({name for names in questions["images"].to_pylist() for name in names or ()}):
        data = read_image(name, [str(source)])
        with atomic_path(target / name) as temporary:
            temporary.write_bytes(data)


def with_images(prompt: str, images: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return the parts of a user message: the text of a prompt and its images, in their places."""
    parts: list[dict[str, Any]] = []
    marked = {int(number) for number in _MARK.findall(prompt)}
    parts += [_part(data) for i, data in enumerate(images, start=1) if i not in marked]
    end = 0
    for mark in _MARK.finditer(prompt):
        number = int(mark[1])
        if 1 <= number <= len(images):
            parts += [*_texts(prompt[end : mark.start()]), _part(images[number - 1])]
            end = mark.end()
    return [*parts, *_texts(prompt[end:])]


def embedded_images(messages: Sequence[Mapping[str, Any]]) -> list[bytes] | None:
    """Return the images of a chat in their order.

    None if one of them is not a ``data:`` URL with an image that can be read.
    """
    found = []
    try:
        for url in _urls(messages):
            if not _DATA_URL.match(url):
                return None
            found.append(_decoded(url.partition(",")[2]))
            check_image(found[-1])
    except UnusableImage:
        return None
    return found


def _urls(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for message in messages:
        for part in message["content"] if isinstance(message.get("content"), list) else ():
            if part["type"] == "image_url":
                stated = part.get("image_url")
                yield str(stated.get("url") if isinstance(stated, Mapping) else stated)


def _part(data: bytes) -> dict[str, Any]:
    kind = check_image(data)
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _texts(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}] if text.strip() else []


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise UnusableImage("is text that is not base64") from None


def _download(url: str) -> bytes:
    try:
        with httpx.stream("GET", url, timeout=_TIMEOUT_S, follow_redirects=True) as answer:
            answer.raise_for_status()
            data = bytearray()
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) > MAX_BYTES:
                    raise UnusableImage(f"{url} has more than {MAX_BYTES // 2**20} MiB")
            return bytes(data)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise UnusableImage(f"{url} cannot be downloaded: {reason}") from None
