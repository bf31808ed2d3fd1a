"""Days, months and small unit conversions."""

from random import Random

from modelsat.demo.bank.spec import Content, Item, read_tasks
from modelsat.demo.bank.words import DAYS, EVENTS, MONTHS, NAMES

_MOST_UNITS = 12
SEASONS = ("winter", "spring", "summer", "autumn")


def _context(rng: Random) -> dict[str, str]:
    return {"who": rng.choice(NAMES), "event": rng.choice(EVENTS)}


def _cycle(slot: str, names: tuple[str, ...], shift: int) -> Content:
    """Questions about the name that is ``shift`` places further in a cycle of names."""

    def draw(rng: Random, _subject: str) -> Item:
        place = rng.randrange(len(names))
        answer = names[(place + shift) % len(names)]
        return Item(_context(rng) | {slot: names[place]}, answer)

    return Content(draw, names)


def _month_number(rng: Random, _subject: str) -> Item:
    place = rng.randrange(12)
    return Item(_context(rng) | {"month": MONTHS[place]}, str(place + 1))


def _season(rng: Random, _subject: str) -> Item:
    place = rng.randrange(12)
    return Item(_context(rng) | {"month": MONTHS[place]}, SEASONS[(place + 1) % 12 // 3])


def _convert(factor: int) -> Content:
    """Questions that convert 1 to 12 units by a fixed factor."""

    def draw(rng: Random, _subject: str) -> Item:
        number = rng.randint(1, _MOST_UNITS)
        return Item(_context(rng) | {"n": str(number)}, str(number * factor))

    return Content(draw, tuple(str(n * factor) for n in range(1, _MOST_UNITS + 1)))


TASKS = read_tasks(
    "calendar",
    {
        "next_day": _cycle("day", DAYS, 1),
        "previous_day": _cycle("day", DAYS, -1),
        "in_two_days": _cycle("day", DAYS, 2),
        "next_month": _cycle("month", MONTHS, 1),
        "previous_month": _cycle("month", MONTHS, -1),
        "month_number": Content(_month_number, tuple(str(n) for n in range(1, 13))),
        "season": Content(_season, SEASONS),
        "hours_to_minutes": _convert(60),
        "weeks_to_days": _convert(7),
        "years_to_months": _convert(12),
    },
)
