"""An oracle that answers questions about drawn pictures from their pixels alone."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

# Written down here again, so that a wrong colour in the drawing is noticed.
_COLOURS = {
    "red": (220, 40, 40),
    "blue": (40, 80, 220),
    "green": (40, 160, 70),
    "yellow": (235, 205, 40),
    "purple": (150, 60, 190),
    "orange": (240, 130, 30),
}
_STEP = 10  # pixels between two lines of a chart


@dataclass(frozen=True)
class Region:
    """One connected region of a single colour.

    Attributes:
        colour: its name.
        mask: boolean pixels of its bounding box, [height, width].
        top: first row of the box.
        left: first column of the box.
    """

    colour: str
    mask: np.ndarray
    top: int
    left: int

    @property
    def shape(self) -> str:
        """Name of the shape, by how much of its box it fills and how its rows grow."""
        fill = self.mask.mean()
        widths = self.mask.sum(axis=1)
        if fill == 1:
            return "square"
        if widths[-1] == self.mask.shape[1]:
            return "triangle"  # only its last row is as wide as the box
        if len(set(widths)) == 2 and len(set(self.mask.sum(axis=0))) == 2:
            return "cross"  # its rows are as wide as the box or as an arm
        return "circle" if fill > 0.65 else "diamond"


def find_regions(png: bytes) -> list[Region]:
    """Return the coloured regions of a picture, from the top, then from the left."""
    pixels = np.asarray(Image.open(BytesIO(png)).convert("RGB"))
    regions = []
    for name, rgb in _COLOURS.items():
        left_over = (pixels == rgb).all(axis=2)
        while left_over.any():
            seed = tuple(int(place) for place in np.argwhere(left_over)[0])
            region = _fill(left_over, seed)
            left_over &= ~region
            rows, columns = np.nonzero(region)
            box = region[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            regions.append(Region(name, box, int(rows.min()), int(columns.min())))
    return sorted(regions, key=lambda region: (region.top, region.left))


def _fill(mask: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    """Return the pixels of a mask that are connected to one of them."""
    found = np.zeros_like(mask)
    waiting = [seed]
    while waiting:
        row, column = waiting.pop()
        inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
        if inside and mask[row, column] and not found[row, column]:
            found[row, column] = True
            waiting += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
    return found


def answer_from_pixels(task: str, stem: str, png: bytes) -> str:
    """Return the right answer as text.

    Args:
        task: name of the task.
        stem: the question without its options.
        png: the picture.
    """
    regions = find_regions(png)
    words = stem.replace("?", " ").replace(".", " ").replace(",", " ").split()
    colour = next((word for word in words if word in _COLOURS), "")
    shapes = ("circle", "square", "triangle", "cross", "diamond")
    shape = next((word for word in words if word in shapes), "")
    largest = max(regions, key=lambda region: region.mask.sum())
    highest = max(regions, key=lambda region: region.mask.shape[0])
    leftmost = min(regions, key=lambda region: region.left)
    of_colour = [region for region in regions if region.colour == colour]
    of_shape = [region for region in regions if region.shape == shape]
    answers = {
        "pictures_count_shape": lambda: str(len(of_shape)),
        "pictures_count_colour": lambda: str(len(of_colour)),
        "pictures_count_all": lambda: str(len(regions)),
        "pictures_colour_of_shape": lambda: one(of_shape).colour,
        "pictures_shape_of_colour": lambda: one(of_colour).shape,
        "pictures_left_shape": lambda: leftmost.shape,
        "pictures_top_colour": lambda: regions[0].colour,
        "pictures_largest_colour": lambda: largest.colour,
        "pictures_highest_bar": lambda: highest.colour,
        "pictures_bar_height": lambda: str(one(of_colour).mask.shape[0] // _STEP),
    }
    return answers[task]()


def one(regions: list[Region]) -> Region:
    """Return the only region; a question about one of several is ambiguous."""
    [region] = regions
    return region
