"""The tasks of the family pictures: what each draws and asks."""

from dataclasses import dataclass, field
from random import Random

from modelsat.demo.bank.spec import Content, Item, read_tasks
from modelsat.demo.pictures.scenes import (
    COLOURS,
    GRID,
    MAX_HEIGHT,
    NUM_BARS,
    SHAPES,
    Bar,
    Figure,
    Scene,
    draw_cells,
)

FAMILY = "pictures"
_MAX_COUNTED = 4  # figures of the kind that a question counts
_MAX_OTHERS = 4  # figures besides
_FEWEST, _MOST = 2, 7  # figures where all are counted


@dataclass(frozen=True)
class PictureItem(Item):
    """The content of one question about a picture.

    Its slots include ``scene``, the text of the scene, which no wording uses: two items with equal
    slots ask the same about the same picture.

    Attributes:
        scene: what the picture shows.
    """

    scene: Scene = field(default_factory=Scene)


def _item(
    scene: Scene, answer: str, distractors: tuple[str, ...] = (), **slots: str
) -> PictureItem:
    return PictureItem({"scene": scene.text()} | slots, answer, distractors, scene)


def _others(values: tuple[str, ...], value: str) -> tuple[str, ...]:
    return tuple(other for other in values if other != value)


def _figures(kinds: list[tuple[str, str]], rng: Random, size: str = "medium") -> list[Figure]:
    """Figures of given shapes and colours in random cells."""
    cells = draw_cells(len(kinds), rng)
    return [
        Figure(shape, colour, row, column, size)
        for (shape, colour), (row, column) in zip(kinds, cells, strict=True)
    ]


def _count_shape(rng: Random, _subject: str) -> PictureItem:
    shape, count = rng.choice(SHAPES), rng.randint(1, _MAX_COUNTED)
    shapes = [shape] * count + rng.choices(_others(SHAPES, shape), k=rng.randint(0, _MAX_OTHERS))
    scene = Scene(tuple(_figures([(one, rng.choice(COLOURS)) for one in shapes], rng)))
    return _item(scene, str(count), shape=shape)


def _count_colour(rng: Random, _subject: str) -> PictureItem:
    colour, count = rng.choice(COLOURS), rng.randint(1, _MAX_COUNTED)
    others = rng.choices(_others(COLOURS, colour), k=rng.randint(0, _MAX_OTHERS))
    kinds = [(rng.choice(SHAPES), one) for one in [colour] * count + others]
    return _item(Scene(tuple(_figures(kinds, rng))), str(count), colour=colour)


def _count_all(rng: Random, _subject: str) -> PictureItem:
    count = rng.randint(_FEWEST, _MOST)
    kinds = [(rng.choice(SHAPES), rng.choice(COLOURS)) for _ in range(count)]
    return _item(Scene(tuple(_figures(kinds, rng))), str(count))


def _colour_of_shape(rng: Random, _subject: str) -> PictureItem:
    shapes = rng.sample(SHAPES, rng.randint(2, 4))
    colours = rng.sample(COLOURS, len(shapes))
    scene = Scene(tuple(_figures(list(zip(shapes, colours, strict=True)), rng)))
    return _item(scene, colours[0], shape=shapes[0])


def _shape_of_colour(rng: Random, _subject: str) -> PictureItem:
    shapes = rng.sample(SHAPES, rng.randint(2, 4))
    colours = rng.sample(COLOURS, len(shapes))
    scene = Scene(tuple(_figures(list(zip(shapes, colours, strict=True)), rng)))
    return _item(scene, shapes[0], colour=colours[0])


def _two_figures(rng: Random, cells: list[tuple[int, int]]) -> tuple[Figure, ...]:
    """Two figures of different shape and colour in given cells."""
    shapes, colours = rng.sample(SHAPES, 2), rng.sample(COLOURS, 2)
    return tuple(
        Figure(shape, colour, row, column)
        for shape, colour, (row, column) in zip(shapes, colours, cells, strict=True)
    )


def _left_shape(rng: Random, _subject: str) -> PictureItem:
    row = rng.randrange(GRID)
    columns = sorted(rng.sample(range(GRID), 2))
    left, right = _two_figures(rng, [(row, column) for column in columns])
    return _item(Scene((left, right)), left.shape, (right.shape,))


def _top_colour(rng: Random, _subject: str) -> PictureItem:
    rows = sorted(rng.sample(range(GRID), 2))
    top, bottom = _two_figures(rng, [(row, rng.randrange(GRID)) for row in rows])
    return _item(Scene((top, bottom)), top.colour, (bottom.colour,))


def _largest_colour(rng: Random, _subject: str) -> PictureItem:
    colours = rng.sample(COLOURS, rng.randint(3, 5))
    small = _figures([(rng.choice(SHAPES), colour) for colour in colours], rng, "small")
    first = small[0]
    large = Figure(first.shape, first.colour, first.row, first.column, "large")
    return _item(Scene((large, *small[1:])), first.colour, tuple(colours[1:]))


def _bars(heights: list[int], rng: Random) -> tuple[Bar, ...]:
    colours = rng.sample(COLOURS, NUM_BARS)
    return tuple(Bar(colour, height) for colour, height in zip(colours, heights, strict=True))


def _highest_bar(rng: Random, _subject: str) -> PictureItem:
    bars = _bars(rng.sample(range(1, MAX_HEIGHT + 1), NUM_BARS), rng)
    highest = max(bars, key=lambda bar: bar.height).colour
    return _item(Scene(bars=bars), highest, _others(tuple(bar.colour for bar in bars), highest))


def _bar_height(rng: Random, _subject: str) -> PictureItem:
    bars = _bars([rng.randint(1, MAX_HEIGHT) for _ in range(NUM_BARS)], rng)
    bar = rng.choice(bars)
    return _item(Scene(bars=bars), str(bar.height), colour=bar.colour)


def _numbers(first: int, last: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(first, last + 1))


PICTURE_TASKS = read_tasks(
    FAMILY,
    {
        "count_shape": Content(_count_shape, _numbers(1, _MAX_COUNTED)),
        "count_colour": Content(_count_colour, _numbers(1, _MAX_COUNTED)),
        "count_all": Content(_count_all, _numbers(_FEWEST, _MOST)),
        "colour_of_shape": Content(_colour_of_shape, COLOURS),
        "shape_of_colour": Content(_shape_of_colour, SHAPES),
        "left_shape": Content(_left_shape, SHAPES),
        "top_colour": Content(_top_colour, COLOURS),
        "largest_colour": Content(_largest_colour, COLOURS),
        "highest_bar": Content(_highest_bar, COLOURS),
        "bar_height": Content(_bar_height, _numbers(1, MAX_HEIGHT)),
    },
    package="modelsat.demo.pictures",
)
