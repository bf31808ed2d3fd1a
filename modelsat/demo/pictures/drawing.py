"""Pictures of scenes, as pixels and as PNG files.

Edges are sharp and colours pure, so a test can measure a picture without reading its scene.
"""

from io import BytesIO
from random import Random

from PIL import Image, ImageDraw

from modelsat.demo.pictures.scenes import GRID, MAX_HEIGHT, Bar, Figure, Scene

PICTURE_SIZE = 64  # width and height in pixels
PALETTE = {
    "red": (220, 40, 40),
    "blue": (40, 80, 220),
    "green": (40, 160, 70),
    "yellow": (235, 205, 40),
    "purple": (150, 60, 190),
    "orange": (240, 130, 30),
}
BACKGROUND = (250, 250, 250)
GRID_LINE = (205, 205, 205)
_CELL = PICTURE_SIZE // GRID
_SIZES = {"small": (5, 6), "medium": (10, 12), "large": (12, 13)}  # side in pixels, inclusive
_STEP = 10  # pixels of a step of the scale
_BASE = 62  # row of the scale's zero
_BAR_WIDTH = 10


def draw_picture(scene: Scene) -> Image.Image:
    """Draw a scene; equal scenes give equal pixels.

    Sizes and positions inside the cells vary with a hash of the scene.

    Returns:
        RGB image of `PICTURE_SIZE` by `PICTURE_SIZE` pixels.
    """
    image = Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE), BACKGROUND)
    canvas = ImageDraw.Draw(image)
    rng = Random(scene.text())
    for figure in sorted(scene.figures, key=lambda it: (it.row, it.column)):
        _draw_figure(canvas, figure, rng)
    if scene.bars:
        _draw_chart(canvas, scene, rng)
    return image


def bar_top(bar: Bar) -> int:
    """Return the pixel row where a bar begins, counted from the top."""
    return _BASE - bar.height * _STEP


def encode_png(image: Image.Image) -> bytes:
    """Return an image as a PNG file; the same bytes for the same pixels and Pillow version."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _draw_figure(canvas: ImageDraw.ImageDraw, figure: Figure, rng: Random) -> None:
    side = rng.randint(*_SIZES[figure.size])
    # Near the middle of the cell, with a margin that keeps figures of neighbouring cells apart.
    left = figure.column * _CELL + (_CELL - side) // 2 + rng.randint(-1, 1)
    top = figure.row * _CELL + (_CELL - side) // 2 + rng.randint(-1, 1)
    right, bottom = left + side - 1, top + side - 1
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    colour = PALETTE[figure.colour]
    if figure.shape == "circle":
        canvas.ellipse((left, top, right, bottom), fill=colour)
    elif figure.shape == "square":
        canvas.rectangle((left, top, right, bottom), fill=colour)
    elif figure.shape == "triangle":
        canvas.polygon([(middle_x, top), (right, bottom), (left, bottom)], fill=colour)
    elif figure.shape == "diamond":
        corners = [(middle_x, top), (right, middle_y), (middle_x, bottom), (left, middle_y)]
        canvas.polygon(corners, fill=colour)
    else:
        arm = (side - 1) // 3
        canvas.rectangle((left + arm, top, right - arm, bottom), fill=colour)
        canvas.rectangle((left, top + arm, right, bottom - arm), fill=colour)


def _draw_chart(canvas: ImageDraw.ImageDraw, scene: Scene, rng: Random) -> None:
    for step in range(MAX_HEIGHT + 1):
        row = _BASE - step * _STEP
        canvas.line((0, row, PICTURE_SIZE - 1, row), fill=GRID_LINE)
    for place, bar in enumerate(scene.bars):
        left = place * _CELL + rng.randint(1, _CELL - 1 - _BAR_WIDTH)
        box = (left, bar_top(bar), left + _BAR_WIDTH - 1, _BASE - 1)
        canvas.rectangle(box, fill=PALETTE[bar.colour])
