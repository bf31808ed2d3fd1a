"""Relations between things, analogies, and conclusions from what the question states."""

from random import Random

from modelsat.demo.bank.lookup import lookup_task, parse_pairs
from modelsat.demo.bank.spec import Item, TaskSpec
from modelsat.demo.bank.words import COLOURS, NAMES

FAMILY = "logic"

GROUPS = parse_pairs(
    "cherry fruit,melon fruit,horse animal,goat animal,hammer tool,saw tool,shirt clothing,"
    "coat clothing,tram vehicle,truck vehicle,sofa furniture,shelf furniture,snow weather,"
    "fog weather,oak tree,birch tree,tulip flower,daisy flower"
)
OPPOSITES = parse_pairs(
    "hot cold,small big,fast slow,high low,old young,hard soft,wet dry,light dark,early late,"
    "full empty,poor rich,near far,loud quiet,open closed,happy sad,dirty clean,strong weak,"
    "thick thin"
)
YOUNG = parse_pairs(
    "cow calf,dog puppy,cat kitten,hen chick,horse foal,bear cub,frog tadpole,swan cygnet,"
    "deer fawn,goat kid,duck duckling,pig piglet,eagle eaglet,owl owlet,sheep lamb,butterfly "
    "caterpillar"
)
WHOLES = parse_pairs(
    "pedal bicycle,page book,petal flower,branch tree,roof house,finger hand,toe foot,wing bird,"
    "sail ship,key piano,blade windmill,sleeve shirt,lens camera,windscreen car,drawer desk,"
    "hoof horse"
)
PURPOSES = parse_pairs(
    "knife cut,pen write,broom sweep,oven bake,bed sleep,needle sew,spade dig,ladder climb,"
    "lamp shine,boat sail,soap wash,brush paint,ball throw,bell ring,book read,song sing"
)
WORKPLACES = parse_pairs(
    "teacher school,nurse hospital,chef restaurant,farmer field,miner mine,judge court,actor "
    "theatre,monk monastery,librarian library,pilot cockpit,sailor ship,banker bank,baker bakery,"
    "gardener garden,mechanic garage,soldier barracks"
)
EFFECTS = parse_pairs(
    "rain wet,frost ice,fire smoke,hunger eating,thirst drinking,joke laughter,wound pain,dust "
    "sneezing,sunshine warmth,wind waves,noise waking,work fatigue,practice skill,spark flame,"
    "night darkness,sadness tears"
)
MATERIALS = parse_pairs(
    "window glass,tyre rubber,ring gold,sweater wool,brick clay,candle wax,nail iron,book paper,"
    "boot leather,plank wood,cheese milk,bread flour,wine grapes,pillow feathers,pan steel,"
    "rope hemp"
)


def _elimination(rng: Random, _subject: str) -> Item:
    colours = rng.sample(COLOURS, 3)
    place = rng.randrange(3)
    ruled_out = [colour for colour in colours if colour != colours[place]]
    rng.shuffle(ruled_out)
    slots = dict(zip("abc", colours, strict=True)) | dict(zip("xy", ruled_out, strict=True))
    return Item(slots | {"who": rng.choice(NAMES)}, colours[place], tuple(ruled_out))


def _owner(rng: Random, _subject: str) -> Item:
    people, colours = rng.sample(NAMES, 3), rng.sample(COLOURS, 3)
    place = rng.randrange(3)
    slots = dict(zip("pqr", people, strict=True)) | dict(zip("abc", colours, strict=True))
    wrong = tuple(colour for colour in colours if colour != colours[place])
    return Item(slots | {"x": people[place]}, colours[place], wrong)


_BOXES = "{p} has the {a} box, {q} has the {b} box and {r} has the {c} box."

TASKS = (
    lookup_task(
        FAMILY,
        "category",
        ("logic", "category", "kind", "group", "class"),
        GROUPS,
        (
            "{who} saw {it} at the {event}. Which category is that?",
            "To which category does {it} belong? {who} asks at the {event}.",
            "At the {event} {who} sorts the word {it}. What kind of thing is it?",
            "{who} puts {it} in a group for the {event}. Which kind is it?",
        ),
        (
            "Name the category of {it} so that {who} can file it before the {event}.",
            "For the {event} {who} must say what kind of thing {it} would be. Which?",
        ),
    ),
    lookup_task(
        FAMILY,
        "opposite",
        ("logic", "opposite", "contrary", "negation", "adjective"),
        OPPOSITES,
        (
            "{who} says the {event} was not {it} but the opposite. What was it?",
            "What is the opposite of {it}? {who} asks at the {event}.",
            "If the {event} of {who} is the opposite of {it}, what is it?",
            "At the {event} {who} needs a word opposite to {it}. Which is it?",
        ),
        (
            "Name the opposite of {it} so that {who} can finish the {event} card.",
            "The {event} that {who} saw was far from {it}, just the opposite. How was it?",
        ),
    ),
    lookup_task(
        FAMILY,
        "young_animal",
        ("logic", "analogy", "young", "animal", "parent"),
        YOUNG,
        (
            "Lion is to cub as {it} is to which young animal? {who} asks at the {event}.",
            "{who} saw the young of a {it} at the {event}. What is it called?",
            "At the {event} {who} meets a young one of the {it}. Which animal is that?",
            "Every {it} was young once. What was it then, asks {who} at the {event}?",
        ),
        (
            "Name the young of the {it} that {who} will draw for the {event}.",
            "When a {it} came to the {event} with its young, what did {who} call the small one?",
        ),
    ),
    lookup_task(
        FAMILY,
        "part_whole",
        ("logic", "part", "whole", "belongs", "relation"),
        WHOLES,
        (
            "{who} found a {it} at the {event}. Of what is it a part?",
            "A {it} is part of what? {who} asks at the {event}.",
            "Room is to house as {it} is to which whole? {who} wants it for the {event}.",
            "At the {event} {who} holds a part, a {it}. What does it belong to?",
        ),
        (
            "Name the whole of which the {it} is a part, so {who} can mend it for the {event}.",
            "{who} lost a {it} at the {event}. What whole thing now lacks this part?",
        ),
    ),
    lookup_task(
        FAMILY,
        "purpose",
        ("logic", "purpose", "use", "means", "action"),
        PURPOSES,
        (
            "{who} brings a {it} to the {event}. What is it used to do?",
            "What is the use of a {it}? {who} asks at the {event}.",
            "At the {event} {who} needs a {it}. What for, what is its purpose?",
            "If {who} uses a {it} at the {event}, what does {who} do?",
        ),
        (
            "Name what one can do with a {it}, its use for {who} at the {event}.",
            "{who} took a {it} along to the {event}. For which purpose was that?",
        ),
    ),
    lookup_task(
        FAMILY,
        "workplace",
        ("logic", "worker", "workplace", "where", "relation"),
        WORKPLACES,
        (
            "{who} met a {it} at the {event}. Where does a {it} work?",
            "Where is the work of a {it}? {who} asks at the {event}.",
            "Cook is to kitchen as {it} is to which place? {who} wants it for the {event}.",
            "After the {event} {who} follows a {it} to work. To which place do they go?",
        ),
        (
            "Name the place where {who} finds a {it} at work before the {event}.",
            "The {it} left the {event} of {who} to go back to work. Where to?",
        ),
    ),
    lookup_task(
        FAMILY,
        "effect",
        ("logic", "cause", "effect", "follows", "because"),
        EFFECTS,
        (
            "There was {it} at the {event} of {who}. What is the effect?",
            "What does {it} cause? {who} asks at the {event}.",
            "If there is {it}, what follows? {who} thinks about the {event}.",
            "At the {event} {who} sees the effect of {it}. What is it?",
        ),
        (
            "Name what {it} will cause if {who} meets it at the {event}.",
            "Because of {it} the {event} of {who} was stopped. What was the effect?",
        ),
    ),
    lookup_task(
        FAMILY,
        "material",
        ("logic", "material", "made", "from", "relation"),
        MATERIALS,
        (
            "{who} brings a {it} to the {event}. What is it made of?",
            "From which material is a {it} made? {who} asks at the {event}.",
            "Tin is to can as what material is to {it}? {who} wants it for the {event}.",
            "At the {event} {who} makes a {it}. Which material is needed?",
        ),
        (
            "Name the material from which {who} has the {it} made for the {event}.",
            "{who} dropped the {it} at the {event}. What is this thing made of?",
        ),
    ),
    TaskSpec(
        "logic_elimination",
        FAMILY,
        ("logic", "elimination", "not", "remaining", "colour"),
        (
            "The hat of {who} is {a}, {b} or {c}. It is not {x} and not {y}. Which is it?",
            "{who} chose {a}, {b} or {c}, but not {x} and not {y}. Which remains?",
            "One of {a}, {b} and {c} is right for {who}. Not {x}, not {y}. Which remains?",
            "{who} may take {a}, {b} or {c}, only not {x} and not {y}. Which is it?",
        ),
        (
            "{who} painted the door {a}, {b} or {c}. Not {x} and not {y}. Name the one that "
            "remains.",
            "Out of {a}, {b} and {c} it is not {x} and not {y}. So which is for {who}?",
        ),
        _elimination,
        COLOURS,
    ),
    TaskSpec(
        "logic_box_colour",
        FAMILY,
        ("logic", "owner", "lookup", "colour", "box"),
        (
            _BOXES + " What colour is the box of {x}?",
            _BOXES + " Which colour does {x} have?",
            _BOXES + " What is the colour of the box that {x} has?",
            _BOXES + " Which box colour belongs to {x}?",
        ),
        (
            _BOXES + " Tell me the box colour of {x}.",
            _BOXES + " Now I ask about {x}: which colour has the box?",
        ),
        _owner,
        COLOURS,
    ),
)
