"""Relations between things, analogies, and conclusions from what the question states."""

from random import Random

from modelsat.demo.bank.lookup import lookup, parse_pairs
from modelsat.demo.bank.spec import Content, Item, read_tasks
from modelsat.demo.bank.words import COLOURS, NAMES

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


TASKS = read_tasks(
    "logic",
    {
        "category": lookup(GROUPS),
        "opposite": lookup(OPPOSITES),
        "young_animal": lookup(YOUNG),
        "part_whole": lookup(WHOLES),
        "purpose": lookup(PURPOSES),
        "workplace": lookup(WORKPLACES),
        "effect": lookup(EFFECTS),
        "material": lookup(MATERIALS),
        "elimination": Content(_elimination, COLOURS),
        "box_colour": Content(_owner, COLOURS),
    },
)
