"""Dates, times of day in several zones, and units."""

from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random

from modelsat.aptitude.general.task import Item, exact, in_json, listed, read_tasks
from modelsat.aptitude.general.words import GOODS, PLACES, invented


def _written(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B} {day.year}"


def _deadline(rng: Random, level: int) -> Item:
    start = date(2001, 1, 1) + timedelta(days=rng.randrange(36_000))
    if level == 1:
        start = start.replace(day=rng.randint(1, 12))
    count = rng.randint(*((2, 15), (30, 99), (400, 3000), (15, 30), (60, 120))[level - 1])
    holidays = [start + timedelta(days=n) for n in sorted(rng.sample(range(2, 15 + level), level))]
    end, left = start, count
    while left:
        end += timedelta(days=1)
        left -= level <= 3 or (end.weekday() < 5 and end not in holidays)
    slots = {"start": _written(start), "number": count, "thing": rng.choice(GOODS)}
    return in_json(end.isoformat(), holidays=listed([*map(_written, holidays)]), **slots)


def _zone(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")


def _journey(rng: Random, level: int) -> Item:
    num_legs, step = ((1, 60), (1, 60), (2, 60), (3, 30), (5, 15))[level - 1]
    places = rng.sample(PLACES, num_legs + 1)
    zones = [step * rng.randint(-600 // step, 600 // step) for _ in places]
    if level == 1:
        zones = [zones[0]] * 2
    start = datetime(2026, 1, 1) + timedelta(minutes=rng.randrange(5 * 365 * 1440))
    clock = start - timedelta(minutes=zones[0])
    legs: list[str] = []
    for one, other in pairwise(places):
        hours, minutes, wait = rng.randint(1, 13), rng.randint(1, 59), rng.randint(20, 400)
        if legs:
            legs.append(f"{wait} min of waiting")
            clock += timedelta(minutes=wait)
        legs.append(f"{hours} h {minutes} min from {one} to {other}")
        clock += timedelta(hours=hours, minutes=minutes)
    end = clock + timedelta(minutes=zones[-1])
    offsets = [f"{place} {_zone(zone)}" for place, zone in zip(places, zones, strict=True)]
    slots = {"first": places[0], "last": places[-1], "legs": "; ".join(legs)}
    times = {"date": _written(start.date()), "time": f"{start:%H:%M}", "zones": ", ".join(offsets)}
    return in_json(f"{end:%Y-%m-%d %H:%M}", **slots, **times)


def _units(rng: Random, level: int) -> Item:
    """Convert between invented units along a chain of rates, some of them stated backwards."""
    count, top = ((2, 12), (3, 12), (4, 12), (6, 15), (8, 20))[level - 1]
    names, lines, rate = invented(rng, count), [], Fraction(1)
    for one, other in pairwise(names):
        a, b = (1, rng.randint(2, top)) if level <= 2 else rng.sample(range(2, top), 2)
        rate *= Fraction(b, a)
        sides = [f"{a} {one}", f"{b} {other}"]
        lines.append(" = ".join(sides if level == 1 else rng.sample(sides, 2)))
    amount, rates = rng.randint(2, 90), "; ".join(rng.sample(lines, len(lines)))
    return exact(amount * rate, rates=rates, amount=amount, first=names[0], last=names[-1])


TASKS = read_tasks("dates_and_units", deadlines=_deadline, journeys=_journey, unit_chains=_units)
