"""Words that questions of several domains share."""

from importlib.resources import files
from random import Random

import yaml

_WORDS: dict[str, tuple[str, ...]] = {
    name: tuple(text.split())
    for name, text in yaml.safe_load(
        files(__package__).joinpath("words.yaml").read_text("utf-8")
    ).items()
}
NAMES, NOUNS, COLOURS = _WORDS["names"], _WORDS["nouns"], _WORDS["colours"]
GOODS, PLACES = _WORDS["goods"], _WORDS["places"]
_ONSETS = tuple("b bl d dr f fl g gr k kl l m n p pl r s sk t tr v w z".split())
_ENDS = "bdgklmnprtx"


def people(rng: Random, count: int) -> list[str]:
    """Return different first names."""
    return rng.sample(NAMES, count)


def invented(rng: Random, count: int) -> list[str]:
    """Return different words of two syllables that mean nothing."""
    words: dict[str, None] = {}
    while len(words) < count:
        parts = (_ONSETS, "aeiou", _ONSETS, "aeiou", _ENDS)
        words["".join(rng.choice(part) for part in parts)] = None
    return list(words)
