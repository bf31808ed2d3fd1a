"""What a picture of the demo shows: figures on a grid, or the bars of a chart."""

from dataclasses import dataclass
from random import Random

SHAPES = ("circle", "square", "triangle", "cross", "diamond")
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange")
GRID = 4  # rows and columns of cells; a cell holds at most one figure
NUM_BARS = 4
MAX_HEIGHT = 6  # steps of a chart's scale


@dataclass(frozen=True)
class Figure:
    """One figure on the grid.

    Attributes:
        shape: one of `SHAPES`.
        colour: one of `COLOURS`.
        row: row of its cell, 0 at the top.
        column: column of its cell, 0 on the left.
        size: "small", "medium" or "large".
    """

    shape: str
    colour: str
    row: int
    column: int
    size: str = "medium"


@dataclass(frozen=True)
class Bar:
    """One bar of a chart.

    Attributes:
        colour: one of `COLOURS`.
        height: steps of the scale, 1 to `MAX_HEIGHT`.
    """

    colour: str
    height: int


@dataclass(frozen=True)
class Scene:
    """Everything that a picture shows, apart from where exactly it is drawn.

    Attributes:
        figures: figures in different cells; empty in a chart.
        bars: bars from left to right; empty in a picture of figures.
    """

    figures: tuple[Figure, ...] = ()
    bars: tuple[Bar, ...] = ()

    def text(self) -> str:
        """Return the scene as text, the same for equal scenes whatever the order of figures."""
        figures = sorted(f"{f.row}{f.column} {f.size} {f.colour} {f.shape}" for f in self.figures)
        bars = [f"{bar.colour} {bar.height}" for bar in self.bars]
        return ", ".join([*figures, *bars])


def draw_cells(count: int, rng: Random) -> list[tuple[int, int]]:
    """Return different cells of the grid, as rows and columns."""
    return [divmod(cell, GRID) for cell in rng.sample(range(GRID * GRID), count)]
