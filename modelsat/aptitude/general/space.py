"""Positions, directions, rolling cubes and covered areas."""

from random import Random

from modelsat.aptitude.general.task import Item, json_item, number_item, tasks_of
from modelsat.aptitude.general.words import COLOURS, NAMES

_DIRECTIONS = ("north", "east", "south", "west")
_MOVES = ((0, 1), (1, 0), (0, -1), (-1, 0))


def _walk(rng: Random, level: int) -> Item:
    num_steps = (2, 5, 8, 12, 18)[level - 1]
    x, y = start = rng.randint(-9, 9), rng.randint(-9, 9)
    facing = rng.randrange(4)
    text, lowest = [], rng.randint(-6, -3)
    first = _DIRECTIONS[facing]
    for _ in range(num_steps):
        steps, turn = rng.randint(1, 9), rng.choice((-1, 1, 1, 2) if level >= 3 else (-1, 1))
        backwards = level >= 4 and rng.random() < 0.3
        how = "back without turning" if backwards else "forward"
        text.append(f"{how} {steps}")
        dx, dy = _MOVES[facing]
        x += dx * (-steps if backwards else steps)
        y += dy * (-steps if backwards else steps)
        if level == 5 and x < lowest:
            x = -x
        text.append({-1: "turn left", 1: "turn right", 2: "turn around"}[turn])
        facing = (facing + turn) % 4
    mirror = (
        f" Whenever the x of the robot is below {lowest} after a move, the robot is put at the point "
        "with -x in place of x, facing as before."
        if level == 5
        else ""
    )
    return json_item(
        f"{rng.choice(NAMES)}'s robot is at {[*start]} (x grows to the east, y to the north) and faces "
        f"{first}. It does this: {'; '.join(text)}.{mirror} Where is it at the end? "
        "Give [x, y].",
        [x, y],
    )


# Which face comes to the top, bottom, north, south, east and west when a cube rolls.
_ROLLS = {
    "north": (3, 2, 0, 1, 4, 5),
    "south": (2, 3, 1, 0, 4, 5),
    "east": (5, 4, 2, 3, 0, 1),
    "west": (4, 5, 2, 3, 1, 0),
}
_FACES = ("top", "bottom", "north", "south", "east", "west")


def _cube(rng: Random, level: int) -> Item:
    num_rolls = (1, 3, 5, 8, 13)[level - 1]
    colours = rng.sample(COLOURS, 6)
    faces, rolls = list(colours), []
    for _ in range(num_rolls):
        way = rng.choice(_DIRECTIONS)
        count = rng.randint(1, 3) if level >= 4 else 1
        rolls.append(way if count == 1 else f"{way} {count} times")
        for _ in range(count):
            faces = [faces[i] for i in _ROLLS[way]]
    sides = ", ".join(f"{colour} ({side})" for colour, side in zip(colours, _FACES, strict=True))
    return json_item(
        f"A cube lies on a table. Its faces are {sides}. {rng.choice(NAMES)} rolls it over its edges, a "
        f"quarter turn each time, in these directions: {', '.join(rolls)}. Which colours are on the "
        "top, on the north side and on the east side now? List them in this order.",
        [faces[0], faces[2], faces[4]],
    )


def _painting(rng: Random, level: int) -> Item:
    num_parts, size = ((1, 12), (2, 12), (3, 15), (4, 20), (6, 30))[level - 1]
    colours = rng.sample(COLOURS, (1, 2, 2, 3, 3)[level - 1])
    cells: dict[tuple[int, int], str] = {}
    lines = []
    for place in range(num_parts):
        left, top = rng.randint(1, size // 2), rng.randint(1, size // 2)
        right, bottom = left + rng.randint(2, size // 2), top + rng.randint(2, size // 2)
        colour = colours[place % len(colours)]
        cells |= {(x, y): colour for x in range(left, right + 1) for y in range(top, bottom + 1)}
        lines.append(f"{place + 1}. columns {left} to {right}, rows {top} to {bottom}: {colour}")
    order = "\n".join(lines)
    return number_item(
        f"{rng.choice(NAMES)} paints cells of a large grid in this order; both ends of a range are "
        f"included, and new paint covers old paint.\n{order}\nHow many cells are {colours[0]} at the "
        "end?",
        sum(colour == colours[0] for colour in cells.values()),
    )


TASKS = tasks_of(
    "space",
    {
        "robot_walks": (_walk, "navigation, directions, coordinates, turns, grid"),
        "rolling_cubes": (_cube, "cube, rotation, faces, spatial reasoning, orientation"),
        "painted_areas": (_painting, "rectangles, area, overlap, grid, geometry"),
    },
)
