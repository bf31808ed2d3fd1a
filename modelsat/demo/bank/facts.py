"""A small invented world and questions about it.

Every fact is stated by `WORLD`: for each attribute, the value of each of twenty towns, people or
creatures. The same fact may be asked about in every split, in questions that differ.
"""

from collections.abc import Mapping
from hashlib import sha256

from modelsat.demo.bank.lookup import lookup
from modelsat.demo.bank.spec import read_tasks
from modelsat.demo.bank.words import COLOURS

TOWNS = tuple(
    "Norvale Quillby Astern Brackwell Cindermoor Dunhollow Elmsgate Farrowick Glasspool Harkney "
    "Inverlow Jostle Kettering Lumborough Mistleigh Nettlefold Oakrest Pellworth Rookton "
    "Silverdene".split()
)
PEOPLE = tuple(
    "Aldric Brunhild Corvin Delphine Eskil Fenella Godric Hestia Ignatz Jocasta Kasimir Lorelei "
    "Mordecai Nerissa Osric Petronel Quentin Rosalba Severin Thessaly".split()
)
CREATURES = tuple(
    "bramblet corvock dimplet elbat fossick grundle hobbin irrit jackaroo kelpish lurcher mimsy "
    "norrick obble pindle quorn rattlet snark tuffin wimble".split()
)
RIVERS = tuple("Arrow Blythe Cress Dove Elver Fleet Gleam Humber Isker Jade Kenning Larch".split())
DISHES = tuple("soup pie stew bread cheese dumplings pancakes noodles salad pudding".split())
CRAFTS = tuple("bells lace clocks violins pottery glass carpets saddles knives paper".split())
JOBS = tuple("baker doctor teacher sailor farmer painter miller judge weaver pilot".split())
INSTRUMENTS = tuple("flute drum harp guitar trumpet cello piano horn lute fiddle".split())
PETS = tuple("parrot turtle hamster hedgehog snake ferret lizard owl otter toad".split())
FOODS = tuple("berries moss fish seeds honey mushrooms worms leaves roots clover".split())
HOMES = tuple("caves marsh forest desert lake hills meadow cliffs island jungle".split())


def _facts(attribute: str, subjects: tuple[str, ...], values: tuple[str, ...]) -> dict[str, str]:
    """Each subject's value of an attribute, fixed by a hash of both."""
    return {
        subject: values[
            int(sha256(f"{attribute}|{subject}".encode()).hexdigest(), 16) % len(values)
        ]
        for subject in subjects
    }


_ATTRIBUTES = {
    "town_river": (TOWNS, RIVERS),
    "town_dish": (TOWNS, DISHES),
    "town_flag": (TOWNS, COLOURS),
    "town_craft": (TOWNS, CRAFTS),
    "person_job": (PEOPLE, JOBS),
    "person_instrument": (PEOPLE, INSTRUMENTS),
    "person_pet": (PEOPLE, PETS),
    "creature_food": (CREATURES, FOODS),
    "creature_home": (CREATURES, HOMES),
    "creature_colour": (CREATURES, COLOURS),
}
WORLD: Mapping[str, Mapping[str, str]] = {
    attribute: _facts(attribute, *lists) for attribute, lists in _ATTRIBUTES.items()
}


TASKS = read_tasks("facts", {attribute: lookup(facts) for attribute, facts in WORLD.items()})
