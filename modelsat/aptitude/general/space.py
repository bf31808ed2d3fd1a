"""Positions, directions, rolling cubes and covered areas."""

from random import Random

from modelsat.aptitude.general.task import Item, in_json, number, numbered, read_tasks
from modelsat.aptitude.general.words import COLOURS

_DIRECTIONS = ("north", "east", "south", "west")
_MOVES = ((0, 1), (1, 0), (0, -1), (-1, 0))


def _walk(rng: Random, level: int) -> Item:
    num_moves = (2, 5, 8, 12, 18)[level - 1]
    x, y = start = [rng.randint(-9, 9), rng.randint(-9, 9)]
    facing = first = rng.randrange(4)
    moves, lowest = [], rng.randint(-6, -3)
    for _ in range(num_moves):
        steps, turn = rng.randint(1, 9), rng.choice((1, 3, 1, 3, 2) if level >= 3 else (1, 3))
        is_back = level >= 4 and rng.random() < 0.3
        moves.append(f"{'backward, without a turn,' if is_back else 'forward'} {steps}")
        moves.append(("turn right", "turn around", "turn left")[turn - 1])
        dx, dy = _MOVES[facing]
        x, y = x + dx * steps * (-1) ** is_back, y + dy * steps * (-1) ** is_back
        x = -x if level == 5 and x < lowest else x
        facing = (facing + turn) % 4
    slots = {"facing": _DIRECTIONS[first], "moves": "; ".join(moves), "lowest": lowest}
    return in_json([x, y], start=start, **slots)


_FACES = ("top", "bottom", "north", "south", "east", "west")
# Which old faces are at the places of _FACES after a roll.
_ROLLS = {
    "north": (3, 2, 0, 1, 4, 5),
    "south": (2, 3, 1, 0, 4, 5),
    "east": (5, 4, 2, 3, 0, 1),
    "west": (4, 5, 2, 3, 1, 0),
}


def _cube(rng: Random, level: int) -> Item:
    faces = colours = rng.sample(COLOURS, 6)
    rolls = []
    for _ in range((1, 3, 5, 8, 13)[level - 1]):
        way, count = rng.choice(_DIRECTIONS), rng.randint(1, 3) if level >= 4 else 1
        rolls.append(way if count == 1 else f"{way} {count} times")
        for _ in range(count):
            faces = [faces[place] for place in _ROLLS[way]]
    named = [f"{colour} ({face})" for colour, face in zip(colours, _FACES, strict=True)]
    return in_json([faces[0], faces[2], faces[4]], faces=", ".join(named), rolls=", ".join(rolls))


def _painting(rng: Random, level: int) -> Item:
    num_parts, size, num_colours = ((1, 24, 1), (2, 12, 2), (3, 15, 2), (4, 20, 3), (6, 30, 3))[
        level - 1
    ]
    colours, parts = rng.sample(COLOURS, num_colours), []
    cells: dict[tuple[int, int], str] = {}
    for place in range(num_parts):
        left, top = rng.randint(1, size // 2), rng.randint(1, size // 2)
        right, bottom = left + rng.randint(2, size // 2), top + rng.randint(2, size // 2)
        colour = colours[place % num_colours]
        for x in range(left, right + 1):
            cells |= dict.fromkeys(((x, y) for y in range(top, bottom + 1)), colour)
        parts.append(f"columns {left} to {right}, rows {top} to {bottom}: {colour}")
    answer = [*cells.values()].count(colours[0])
    return number(answer, parts=numbered(parts), colour=colours[0])


TASKS = read_tasks("space", robot_walks=_walk, rolling_cubes=_cube, painted_areas=_painting)
