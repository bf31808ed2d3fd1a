"""Days, months and small unit conversions."""

from collections.abc import Callable
from random import Random

from modelsat.demo.bank.spec import Item, TaskSpec
from modelsat.demo.bank.words import DAYS, EVENTS, MONTHS, NAMES

FAMILY = "calendar"
SEASONS = ("winter", "spring", "summer", "autumn")


def _context(rng: Random) -> dict[str, str]:
    return {"who": rng.choice(NAMES), "event": rng.choice(EVENTS)}


def _cycle(slot: str, names: tuple[str, ...], shift: int) -> Callable[[Random, str], Item]:
    """Moving on by shift places in a cycle of names."""

    def draw(rng: Random, _subject: str) -> Item:
        place = rng.randrange(len(names))
        answer = names[(place + shift) % len(names)]
        return Item(_context(rng) | {slot: names[place]}, answer)

    return draw


def _month_number(rng: Random, _subject: str) -> Item:
    place = rng.randrange(12)
    return Item(_context(rng) | {"month": MONTHS[place]}, str(place + 1))


def _season(rng: Random, _subject: str) -> Item:
    place = rng.randrange(12)
    return Item(_context(rng) | {"month": MONTHS[place]}, SEASONS[(place + 1) % 12 // 3])


def _convert(factor: int, most: int) -> Callable[[Random, str], Item]:
    """Converting 1..most units at a fixed factor."""

    def draw(rng: Random, _subject: str) -> Item:
        number = rng.randint(1, most)
        return Item(_context(rng) | {"n": str(number)}, str(number * factor))

    return draw


def _multiples(factor: int, most: int) -> tuple[str, ...]:
    return tuple(str(n * factor) for n in range(1, most + 1))


def _task(
    slug: str,
    keywords: tuple[str, str, str, str, str],
    draw: Callable[[Random, str], Item],
    domain: tuple[str, ...],
    wordings: tuple[str, ...],
    test_wordings: tuple[str, ...],
) -> TaskSpec:
    return TaskSpec(f"{FAMILY}_{slug}", FAMILY, keywords, wordings, test_wordings, draw, domain)


TASKS = (
    _task(
        "next_day",
        ("calendar", "weekday", "tomorrow", "after", "day"),
        _cycle("day", DAYS, 1),
        DAYS,
        (
            "{who} has a {event} on the day after {day}. Which day is that?",
            "Today is {day} and the {event} of {who} is tomorrow. What day is tomorrow?",
            "Which day comes after {day}, when {who} goes to the {event}?",
            "The {event} with {who} was {day}. What day is it one day after?",
            "If today is {day}, on what day is the {event} of {who} tomorrow?",
        ),
        (
            "It is {day} now and {who} leaves for the {event} tomorrow. Name that day.",
            "{who} moved the {event} from {day} to the day after. When is it?",
        ),
    ),
    _task(
        "previous_day",
        ("calendar", "weekday", "yesterday", "before", "day"),
        _cycle("day", DAYS, -1),
        DAYS,
        (
            "{who} has a {event} on the day before {day}. Which day is that?",
            "Today is {day} and the {event} of {who} was yesterday. What day was yesterday?",
            "Which day comes before {day}, when {who} goes to the {event}?",
            "The {event} with {who} is {day}. What day is it one day before?",
            "If today is {day}, on what day was the {event} of {who} yesterday?",
        ),
        (
            "It is {day} now and {who} was at the {event} yesterday. Name that day.",
            "{who} moved the {event} from {day} to the day before. When is it?",
        ),
    ),
    _task(
        "in_two_days",
        ("calendar", "weekday", "two days", "later", "day"),
        _cycle("day", DAYS, 2),
        DAYS,
        (
            "{who} has a {event} two days later than {day}. Which day is that?",
            "Today is {day} and the {event} of {who} is in two days. What day will it be?",
            "Which day is two days from {day}, when {who} goes to the {event}?",
            "The {event} with {who} was {day}. What day is it two days later?",
            "If today is {day}, on what day is the {event} of {who} in two days?",
        ),
        (
            "It is {day} now and {who} leaves for the {event} in two days. Name that day.",
            "{who} moved the {event} from {day} to two days later. When is it?",
        ),
    ),
    _task(
        "next_month",
        ("calendar", "month", "next", "following", "year"),
        _cycle("month", MONTHS, 1),
        MONTHS,
        (
            "{who} plans a {event} in the month after {month}. Which month is that?",
            "It is {month} and the {event} of {who} is next month. What is next month?",
            "Which month follows {month}, when {who} goes to the {event}?",
            "The {event} of {who} was in {month}. What is the next month?",
            "If this month is {month}, in which month is the {event} of {who} next?",
        ),
        (
            "We are in {month} and {who} leaves for the {event} next month. Name that month.",
            "{who} moved the {event} from {month} to the month that follows. When is it?",
        ),
    ),
    _task(
        "previous_month",
        ("calendar", "month", "previous", "last", "year"),
        _cycle("month", MONTHS, -1),
        MONTHS,
        (
            "{who} had a {event} in the month before {month}. Which month was that?",
            "It is {month} and the {event} of {who} was last month. What was last month?",
            "Which month precedes {month}, when {who} went to the {event}?",
            "The {event} of {who} is in {month}. What is the previous month?",
            "If this month is {month}, in which month was the {event} of {who} last?",
        ),
        (
            "We are in {month} and {who} came from the {event} last month. Name that month.",
            "{who} moved the {event} from {month} to the month that precedes it. When is it?",
        ),
    ),
    _task(
        "month_number",
        ("calendar", "month", "number", "position", "year"),
        _month_number,
        tuple(str(n) for n in range(1, 13)),
        (
            "What is the number of {month} in the year? {who} dates a {event}.",
            "{who} writes the date of a {event} in {month}. Which number has the month?",
            "The {event} of {who} is in {month}. What number is this month?",
            "As a number, which month is {month}, when {who} has a {event}?",
        ),
        (
            "{who} fills in a form for the {event}: give {month} as a number.",
            "Counting from January, what number is {month}, the month {who} has the {event}?",
        ),
    ),
    _task(
        "season",
        ("calendar", "season", "month", "weather", "year"),
        _season,
        SEASONS,
        (
            "{who} plans a {event} in {month}. Which season is it in the north?",
            "In which season of the north is {month}, when {who} has a {event}?",
            "The {event} of {who} is in {month}. What season is that in the north?",
            "What is the season when {who} goes to the {event} in {month} up north?",
        ),
        (
            "{who} lives in the north and packs for a {event} in {month}. Name the season.",
            "North of here {who} holds a {event} each {month}. What season will guests see?",
        ),
    ),
    _task(
        "hours_to_minutes",
        ("calendar", "hours", "minutes", "convert", "time"),
        _convert(60, 12),
        _multiples(60, 12),
        (
            "The {event} of {who} takes {n} hours. How many minutes is that?",
            "How many minutes are {n} hours, the time of the {event} with {who}?",
            "{who} waits {n} hours for the {event}. What is that in minutes?",
            "Convert the {n} hours of the {event} of {who}. How many minutes?",
        ),
        (
            "{who} was late for the {event} by {n} hours. Tell me the minutes.",
            "In minutes, how long is the {event} if {who} stays {n} hours?",
        ),
    ),
    _task(
        "weeks_to_days",
        ("calendar", "weeks", "days", "convert", "duration"),
        _convert(7, 12),
        _multiples(7, 12),
        (
            "The {event} of {who} is in {n} weeks. How many days is that?",
            "How many days are {n} weeks, the time until {who} has the {event}?",
            "{who} waits {n} weeks for the {event}. What is that in days?",
            "Convert the {n} weeks before the {event} of {who}. How many days?",
        ),
        (
            "{who} trained for the {event} over {n} weeks. Tell me the days.",
            "In days, how long is it to the {event} if {who} says {n} weeks?",
        ),
    ),
    _task(
        "years_to_months",
        ("calendar", "years", "months", "convert", "duration"),
        _convert(12, 12),
        _multiples(12, 12),
        (
            "The {event} of {who} was {n} years ago. How many months is that?",
            "How many months are {n} years, the time since {who} had the {event}?",
            "{who} waits {n} years for the {event}. What is that in months?",
            "Convert the {n} years until the {event} of {who}. How many months?",
        ),
        (
            "{who} saved for the {event} over {n} years. Tell me the months.",
            "In months, how long ago was the {event} if {who} says {n} years?",
        ),
    ),
)
