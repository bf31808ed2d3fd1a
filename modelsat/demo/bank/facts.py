"""A small invented world and questions about it.

Every fact is stated by `WORLD`: for each attribute, the value of each of twenty towns, people or
creatures. The same fact may be asked about in every split, in questions that differ.
"""

from collections.abc import Mapping
from hashlib import sha256

from modelsat.demo.bank.lookup import lookup_task
from modelsat.demo.bank.spec import TaskSpec
from modelsat.demo.bank.words import COLOURS

FAMILY = "facts"

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


def _task(
    slug: str,
    keywords: tuple[str, str, str, str, str],
    wordings: tuple[str, ...],
    test_wordings: tuple[str, ...],
) -> TaskSpec:
    return lookup_task(FAMILY, slug, keywords, WORLD[slug], wordings, test_wordings)


TASKS = (
    _task(
        "town_river",
        ("facts", "town", "river", "water", "place"),
        (
            "Which river flows through {it}? {who} has a {event} there.",
            "{who} goes to a {event} in {it}. On which river is the town?",
            "Before the {event}, {who} asks what the river of {it} is called. What is it?",
            "What is the name of the river in {it}, where {who} saw the {event}?",
        ),
        (
            "After the {event} {who} wants to row on the river at {it}. What is its name?",
            "{who} missed the {event} in {it} and sat by the river. Which one was it?",
        ),
    ),
    _task(
        "town_dish",
        ("facts", "town", "dish", "food", "eat"),
        (
            "Which dish is {it} known for? {who} has a {event} there.",
            "{who} goes to a {event} in {it}. What dish does the town eat?",
            "Before the {event}, {who} asks what dish people cook in {it}. What is it?",
            "What is the favourite dish in {it}, where {who} saw the {event}?",
        ),
        (
            "After the {event} {who} wants to taste the dish of {it}. What is it?",
            "{who} missed the {event} in {it} but tried the dish of the town. Which one was it?",
        ),
    ),
    _task(
        "town_flag",
        ("facts", "town", "flag", "colour", "banner"),
        (
            "What colour is the flag of {it}? {who} has a {event} there.",
            "{who} goes to a {event} in {it}. Which colour has the flag of the town?",
            "Before the {event}, {who} asks for the colour of the flag of {it}. What is it?",
            "What is the flag colour in {it}, where {who} saw the {event}?",
        ),
        (
            "After the {event} {who} wants to wave the flag of {it}. What is its colour?",
            "{who} missed the {event} in {it} but saw the flag of the town. Which colour was it?",
        ),
    ),
    _task(
        "town_craft",
        ("facts", "town", "craft", "make", "workshop"),
        (
            "What do the workshops of {it} make? {who} has a {event} there.",
            "{who} goes to a {event} in {it}. Which craft does the town make?",
            "Before the {event}, {who} asks what craft {it} is famous for. What is it?",
            "What does the craft in {it} make, where {who} saw the {event}?",
        ),
        (
            "After the {event} {who} wants to buy the craft of {it}. What do they make?",
            "{who} missed the {event} in {it} but saw the craft of the town. Which one was it?",
        ),
    ),
    _task(
        "person_job",
        ("facts", "person", "job", "work", "profession"),
        (
            "What is the job of {it}? {who} met them at a {event}.",
            "{who} goes to a {event} with {it}. What work does {it} do?",
            "Before the {event}, {who} asks what {it} does for a job. What is it?",
            "At the {event} {who} talks about the work of {it}. Which job is it?",
        ),
        (
            "After the {event} {who} wants to know how {it} earns a living. Which job?",
            "{who} saw {it} leave the {event} to go to work. Can you name the job?",
        ),
    ),
    _task(
        "person_instrument",
        ("facts", "person", "instrument", "music", "play"),
        (
            "Which instrument does {it} play? {who} met them at a {event}.",
            "{who} goes to a {event} with {it}. What instrument does {it} play?",
            "Before the {event}, {who} asks what {it} can play. Which instrument is it?",
            "At the {event} {who} hears {it} play music. What is the instrument?",
        ),
        (
            "After the {event} {who} wants to play with {it}. Which instrument will {it} bring?",
            "{who} saw {it} carry an instrument to the {event}. Can you name the instrument?",
        ),
    ),
    _task(
        "person_pet",
        ("facts", "person", "pet", "animal", "keep"),
        (
            "Which pet does {it} keep? {who} met them at a {event}.",
            "{who} goes to a {event} with {it}. What pet does {it} have at home?",
            "Before the {event}, {who} asks about the pet of {it}. Which animal is it?",
            "At the {event} {who} talks about the pet of {it}. What pet is it?",
        ),
        (
            "After the {event} {who} wants to feed the pet that {it} owns. Which animal is it?",
            "{who} saw {it} bring a pet to the {event}. Can you name the pet?",
        ),
    ),
    _task(
        "creature_food",
        ("facts", "creature", "food", "eats", "diet"),
        (
            "What does the {it} eat? {who} saw one on the way to a {event}.",
            "{who} takes a {it} to the {event}. Which food does a {it} eat?",
            "Before the {event}, {who} asks what food the {it} likes. What is it?",
            "At the {event} {who} feeds a {it}. What food does it eat?",
        ),
        (
            "After the {event} {who} wants to feed the hungry {it}. Which food should it be?",
            "{who} heard at the {event} what a wild {it} likes to eat. Can you name the food?",
        ),
    ),
    _task(
        "creature_home",
        ("facts", "creature", "home", "lives", "habitat"),
        (
            "Where does the {it} live? {who} saw one on the way to a {event}.",
            "{who} takes a {it} to the {event}. Where is the home of a {it}?",
            "Before the {event}, {who} asks where the {it} has its home. Where is it?",
            "At the {event} {who} talks about where a {it} can live. Where does it live?",
        ),
        (
            "After the {event} {who} wants to visit the {it} at home. Where should that be?",
            "{who} heard at the {event} where a wild {it} likes to live. Can you name the home?",
        ),
    ),
    _task(
        "creature_colour",
        ("facts", "creature", "colour", "fur", "looks"),
        (
            "What colour is the {it}? {who} saw one on the way to a {event}.",
            "{who} takes a {it} to the {event}. Which colour has the fur of a {it}?",
            "Before the {event}, {who} asks for the colour of the {it}. What is it?",
            "At the {event} {who} draws a {it}. What colour should its fur be?",
        ),
        (
            "After the {event} {who} wants to paint the fur of the {it}. Which colour is it?",
            "{who} heard at the {event} how a wild {it} looks. Can you name its colour?",
        ),
    ),
)
