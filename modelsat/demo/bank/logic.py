"""Small conclusions from what the question itself states."""

from collections.abc import Callable
from random import Random

from modelsat.demo.bank.spec import Item, TaskSpec
from modelsat.demo.bank.words import COLOURS, NAMES, THINGS

FAMILY = "logic"

GROUPS = {
    "fruit": "apple pear plum cherry lemon peach melon fig".split(),
    "animal": "dog cat horse cow goat mouse rabbit wolf".split(),
    "tool": "hammer saw drill wrench chisel pliers axe shovel".split(),
    "clothing": "shirt coat hat scarf sock glove skirt jacket".split(),
    "vehicle": "car bus train bicycle truck tram ship plane".split(),
    "furniture": "table chair bed shelf desk sofa stool bench".split(),
    "weather": "rain snow wind fog hail storm frost thunder".split(),
    "tree": "oak pine birch maple willow beech cedar elm".split(),
}
_GROUP_NAMES = tuple(GROUPS)
_GROUP_WORDS = tuple(word for words in GROUPS.values() for word in words)
_PAIRS = (
    "hot cold,big small,fast slow,high low,old young,hard soft,wet dry,light dark,early late,"
    "full empty,rich poor,near far,loud quiet,open closed,happy sad,clean dirty,strong weak,"
    "thick thin,sweet bitter,wide narrow"
)
OPPOSITES = tuple(
    pair
    for text in _PAIRS.split(",")
    for pair in (tuple(text.split()), tuple(reversed(text.split())))
)
_ADJECTIVES = tuple(first for first, _second in OPPOSITES)


def _ranking(answer_place: int) -> Callable[[Random, str], Item]:
    """Two comparisons of three people, in either order; place 0 is the tallest, 2 the shortest."""

    def draw(rng: Random, _subject: str) -> Item:
        people = rng.sample(NAMES, 3)
        facts = [f"{people[0]} is taller than {people[1]}", f"{people[1]} is taller than {people[2]}"]
        rng.shuffle(facts)
        wrong = tuple(name for name in people if name != people[answer_place])
        return Item({"p": facts[0], "q": facts[1]}, people[answer_place], wrong)

    return draw


def _holders(rng: Random) -> tuple[list[str], list[str], dict[str, str]]:
    people, colours = rng.sample(NAMES, 4), rng.sample(COLOURS, 4)
    slots = dict(zip("pqrs", people, strict=True)) | dict(zip("abcd", colours, strict=True))
    return people, colours, slots


def _whose(rng: Random, _subject: str) -> Item:
    people, colours, slots = _holders(rng)
    place = rng.randrange(4)
    wrong = tuple(name for name in people if name != people[place])
    return Item(slots | {"x": colours[place]}, people[place], wrong)


def _which_colour(rng: Random, _subject: str) -> Item:
    people, colours, slots = _holders(rng)
    place = rng.randrange(4)
    wrong = tuple(colour for colour in colours if colour != colours[place])
    return Item(slots | {"x": people[place]}, colours[place], wrong)


def _elimination(rng: Random, _subject: str) -> Item:
    colours = rng.sample(COLOURS, 3)
    place = rng.randrange(3)
    ruled_out = [colour for colour in colours if colour != colours[place]]
    rng.shuffle(ruled_out)
    slots = dict(zip("abc", colours, strict=True)) | dict(zip("xy", ruled_out, strict=True))
    return Item(slots | {"who": rng.choice(NAMES)}, colours[place], tuple(ruled_out))


def _odd_one_out(rng: Random, _subject: str) -> Item:
    group, other = rng.sample(_GROUP_NAMES, 2)
    words = rng.sample(GROUPS[group], 3)
    answer = rng.choice(GROUPS[other])
    shown = [*words, answer]
    rng.shuffle(shown)
    return Item(dict(zip("abcd", shown, strict=True)), answer, tuple(words))


def _category(rng: Random, _subject: str) -> Item:
    group = rng.choice(_GROUP_NAMES)
    slots = {"word": rng.choice(GROUPS[group]), "who": rng.choice(NAMES), "col": rng.choice(COLOURS)}
    return Item(slots, group)


def _analogy(rng: Random, _subject: str) -> Item:
    (a, b), (c, d) = rng.sample(OPPOSITES, 2)
    return Item({"a": a, "b": b, "c": c}, d)


def _pattern(rng: Random, _subject: str) -> Item:
    period = rng.choice((2, 3))
    cycle = rng.sample(COLOURS, period)
    shown = [cycle[i % period] for i in range(5 if period == 2 else rng.choice((5, 6)))]
    answer = cycle[len(shown) % period]
    wrong = tuple(colour for colour in cycle if colour != answer)
    slots = {"row": ", ".join(shown), "thing": rng.choice(THINGS), "who": rng.choice(NAMES)}
    return Item(slots, answer, wrong)


def _race(shift: int) -> Callable[[Random, str], Item]:
    def draw(rng: Random, _subject: str) -> Item:
        people = rng.sample(NAMES, 4)
        place = rng.randrange(3) if shift > 0 else rng.randrange(1, 4)
        answer = people[place + shift]
        wrong = tuple(name for name in people if name not in (answer, people[place]))
        return Item(dict(zip("abcd", people, strict=True)) | {"x": people[place]}, answer, wrong)

    return draw


def _task(
    slug: str,
    keywords: tuple[str, str, str, str, str],
    draw: Callable[[Random, str], Item],
    domain: tuple[str, ...],
    wordings: tuple[str, ...],
    test_wordings: tuple[str, ...],
) -> TaskSpec:
    return TaskSpec(f"{FAMILY}_{slug}", FAMILY, keywords, wordings, test_wordings, draw, domain)


_BOXES = "{p} has the {a} box, {q} has the {b} box, {r} has the {c} box, {s} has the {d} box."

TASKS = (
    _task(
        "tallest",
        ("logic", "order", "tallest", "taller", "ranking"),
        _ranking(0),
        NAMES,
        (
            "{p}. {q}. Who is the tallest?",
            "We know that {p} and that {q}. Who is tallest of all?",
            "{p}. {q}. Which of them is the tallest?",
            "If {p} and {q}, who is the tallest person?",
        ),
        (
            "My friends say that {p}. Also {q}. Name the tallest.",
            "Given that {p} while {q}, can you tell who is the tallest?",
        ),
    ),
    _task(
        "shortest",
        ("logic", "order", "shortest", "taller", "ranking"),
        _ranking(2),
        NAMES,
        (
            "{p}. {q}. Who is the shortest?",
            "We know that {p} and that {q}. Who is shortest of all?",
            "{p}. {q}. Which of them is the shortest?",
            "If {p} and {q}, who is the shortest person?",
        ),
        (
            "My friends say that {p}. Also {q}. Name the shortest.",
            "Given that {p} while {q}, can you tell who is the shortest?",
        ),
    ),
    _task(
        "whose_box",
        ("logic", "owner", "lookup", "who", "box"),
        _whose,
        NAMES,
        (
            _BOXES + " Who has the {x} box?",
            _BOXES + " Whose box is {x}?",
            _BOXES + " Which person has the box that is {x}?",
            _BOXES + " Who owns the {x} one?",
        ),
        (
            _BOXES + " Tell me the owner of the {x} box.",
            "Somebody took the {x} box. " + _BOXES + " So who has the {x} one?",
        ),
    ),
    _task(
        "box_colour",
        ("logic", "colour", "lookup", "which", "box"),
        _which_colour,
        COLOURS,
        (
            _BOXES + " What colour is the box of {x}?",
            _BOXES + " Which colour does {x} have?",
            _BOXES + " What is the colour of the box that {x} has?",
            _BOXES + " Which box colour belongs to {x}?",
        ),
        (
            _BOXES + " Tell me the colour that {x} took.",
            "I ask about {x}. " + _BOXES + " So which colour has the box of {x}?",
        ),
    ),
    _task(
        "elimination",
        ("logic", "elimination", "not", "remaining", "box"),
        _elimination,
        COLOURS,
        (
            "The key of {who} is in the {a}, {b} or {c} box. It is not in the {x} one and not in "
            "the {y} one. Which box is it in?",
            "{who} chose {a}, {b} or {c}, but not {x} and not {y}. Which colour remains?",
            "One of {a}, {b} and {c} is right for {who}. Not {x}, not {y}. Which one remains?",
            "{who} may take the {a}, the {b} or the {c} hat, not the {x} and not the {y}. Which "
            "is it?",
        ),
        (
            "{who} painted the door {a}, {b} or {c}. It was not {x} and it was not {y}. Name the "
            "colour that remains.",
            "Out of {a}, {b} and {c} we can say not {x} and not {y}. So which one is for {who}?",
        ),
    ),
    _task(
        "odd_one_out",
        ("logic", "odd", "belong", "group", "different"),
        _odd_one_out,
        _GROUP_WORDS,
        (
            "Which word does not belong: {a}, {b}, {c}, {d}?",
            "Find the odd one out of {a}, {b}, {c}, {d}. Which is it?",
            "One of {a}, {b}, {c}, {d} does not fit the group. Which one?",
            "Which is the odd one: {a}, {b}, {c} or {d}?",
        ),
        (
            "Three of these words belong together: {a}, {b}, {c}, {d}. Name the odd one.",
            "Look at {a}, {b}, {c} and {d}. Can you say which does not belong?",
        ),
    ),
    _task(
        "category",
        ("logic", "category", "kind", "group", "class"),
        _category,
        _GROUP_NAMES,
        (
            "{who} drew a {word} in {col}. What kind of thing is a {word}?",
            "To which group does {word} belong? {who} uses a {col} label.",
            "{who} puts {word} on the {col} page. Which category is it?",
            "What category is {word}, which {who} wrote in {col}?",
        ),
        (
            "{who} found the word {word} on a {col} card. Name its category.",
            "In the {col} book {who} looks up {word}. Can you say which kind of thing that is?",
        ),
    ),
    _task(
        "analogy",
        ("logic", "analogy", "opposite", "relation", "adjective"),
        _analogy,
        _ADJECTIVES,
        (
            "{a} is to {b} as {c} is to what?",
            "The opposite of {a} is {b}. What is the opposite of {c}?",
            "If {a} goes with {b}, what goes with {c}?",
            "{a} and {b} are opposite. What is opposite to {c}?",
        ),
        (
            "Just as {a} is the opposite of {b}, tell me the opposite of {c}.",
            "When {a} turns to {b}, to what does {c} turn as its opposite?",
        ),
    ),
    _task(
        "race_after",
        ("logic", "race", "after", "behind", "order"),
        _race(1),
        NAMES,
        (
            "The race order was {a}, {b}, {c}, {d}. Who came right after {x}?",
            "In line stand {a}, {b}, {c}, {d}. Who is right behind {x}?",
            "They arrived as {a}, {b}, {c}, {d}. Who was next after {x}?",
            "The order is {a}, {b}, {c}, {d}. Who follows {x}?",
        ),
        (
            "At the finish I saw {a}, {b}, {c}, {d}. Tell me who was right after {x}.",
            "We sat in the order {a}, {b}, {c}, {d}. Can you say who is behind {x}?",
        ),
    ),
    _task(
        "race_before",
        ("logic", "race", "before", "ahead", "order"),
        _race(-1),
        NAMES,
        (
            "The race order was {a}, {b}, {c}, {d}. Who came right before {x}?",
            "In line stand {a}, {b}, {c}, {d}. Who is right ahead of {x}?",
            "They arrived as {a}, {b}, {c}, {d}. Who was there before {x}?",
            "The order is {a}, {b}, {c}, {d}. Who precedes {x}?",
        ),
        (
            "At the finish I saw {a}, {b}, {c}, {d}. Tell me who was right before {x}.",
            "We sat in the order {a}, {b}, {c}, {d}. Can you say who is ahead of {x}?",
        ),
    ),
)
