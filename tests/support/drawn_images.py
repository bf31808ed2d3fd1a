"""Small images for tests."""

import io

from PIL import Image


def drawn(colour: str = "red", size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
    """The content of an image file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()
