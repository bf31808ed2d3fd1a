"""Dates, times of day in several zones, and units."""

from datetime import date, datetime, timedelta
from fractions import Fraction
from random import Random

from modelsat.aptitude.general.task import Item, exact_item, json_item, listed, tasks_of
from modelsat.aptitude.general.words import GOODS, NAMES, PLACES, invented


def _written(value: date) -> str:
    return f"{value:%A} {value.day} {value:%B} {value.year}"


def _workday(start: date, count: int, closed: set[date]) -> date:
    """Return the day that is a number of working days after another."""
    day = start
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5 and day not in closed
    return day


def _deadline(rng: Random, level: int) -> Item:
    start = date(2001, 1, 1) + timedelta(days=rng.randrange(36_000))
    who, thing = rng.choice(NAMES), rng.choice(GOODS)
    closed: set[date] = set()
    if level == 1:
        start = start.replace(day=rng.randint(1, 12))
        number = rng.randint(2, 15)
        end, text = start + timedelta(days=number), f"{number} days"
    elif level <= 3:
        number = rng.randint(30, 99) if level == 2 else rng.randint(400, 3000)
        end, text = start + timedelta(days=number), f"{number} days"
    else:
        number = rng.randint(15, 30) if level == 4 else rng.randint(60, 120)
        holidays = [start + timedelta(days=n) for n in rng.sample(range(3, number), level)]
        closed = {*holidays}
        end = _workday(start, number, closed)
        days = [_written(day) for day in sorted(closed)]
        text = (
            f"{number} working days (Monday to Friday, except the holidays {listed(days)}; the first "
            "working day after the order is day 1)"
        )
    return json_item(
        f"{who} orders {thing} on {_written(start)}. They arrive {text} later. On which date, as "
        "YYYY-MM-DD, do they arrive?",
        end.isoformat(),
    )


def _zone(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")


def _trip(rng: Random, level: int) -> Item:
    num_legs = (1, 1, 2, 3, 5)[level - 1]
    places = rng.sample(PLACES, num_legs + 1)
    step = (60, 60, 60, 30, 15)[level - 1]
    zones = [step * rng.randint(-600 // step, 600 // step) for _ in places]
    zones = zones if level >= 2 else [zones[0]] * 2
    start = datetime(2026, 1, 1) + timedelta(minutes=rng.randrange(5 * 365 * 1440))
    clock, text = start - timedelta(minutes=zones[0]), []
    for place, following in zip(places, places[1:], strict=False):
        hours, minutes, wait = rng.randint(1, 13), rng.randint(1, 59), rng.randint(20, 400)
        clock += timedelta(hours=hours, minutes=minutes)
        text.append(f"{hours} h {minutes} min from {place} to {following}")
        if following != places[-1]:
            clock += timedelta(minutes=wait)
            text.append(f"{wait} min of waiting")
    end = clock + timedelta(minutes=zones[-1])
    shown = zip(places, zones, strict=True)
    offsets = "; ".join(f"{place} has {_zone(zone)}" for place, zone in shown)
    return json_item(
        f"{rng.choice(NAMES)} leaves {places[0]} on {_written(start.date())} at {start:%H:%M} local time. "
        f"The journey: {'; '.join(text)}. Time zones: {offsets}. What are date and time in {places[-1]} on "
        'arrival? Write them as "YYYY-MM-DD HH:MM".',
        f"{end:%Y-%m-%d %H:%M}",
    )


def _units(rng: Random, level: int) -> Item:
    """Convert between invented units along a chain of rates, some of them stated backwards."""
    count, top = ((2, 12), (3, 12), (4, 12), (6, 15), (8, 20))[level - 1]
    names = invented(rng, count)
    lines, rate = [], Fraction(1)
    for one, other in zip(names, names[1:], strict=False):
        a, b = (1, rng.randint(2, top)) if level <= 2 else rng.sample(range(2, top), 2)
        rate *= Fraction(b, a)
        sides = (f"{a} {one}", f"{b} {other}")
        lines.append(" = ".join(sides if level == 1 or rng.random() < 0.5 else sides[::-1]))
    rng.shuffle(lines)
    amount = rng.randint(2, 90)
    return exact_item(
        f"In a country these are equal: {'; '.join(lines)}. How many {names[-1]} are {amount} {names[0]}?",
        amount * rate,
    )


TASKS = tasks_of(
    "dates_and_units",
    {
        "deadlines": (_deadline, "calendar, dates, weekdays, working days, deadlines"),
        "journeys": (_trip, "time, time zones, duration, travel, arrival"),
        "unit_chains": (_units, "units, conversion, rates, fractions, measures"),
    },
)
