"""Words that questions of several domains share. Order matters: drawing is by position."""

from random import Random

NAMES = tuple(
    "Abena Aiko Alma Amir Anders Anita Arjun Astrid Ayla Bashir Beata Boris Bruno Camila Carlos "
    "Chen Chloe Conor Dalia Darius Davit Deniz Diego Dina Edith Elif Emeka Enzo Esther Fatima "
    "Felix Fiona Freya Gabriel Gita Greta Hakim Hanna Hector Helga Hiro Ibrahim Ilse Imani Ines "
    "Isaac Ivana Jamal Jana Jasper Jelena Joao Jorge Kamal Karin Kenji Kofi Laila Lars Leila Lin "
    "Lorenzo Lucia Magda Malik Marta Mateo Mei Milan Mina Nadia Nikhil Nora Olaf Omar Oscar Paloma "
    "Pavel Petra Priya Rafael Rania Ravi Rosa Ruben Sami Sanna Selma Simon Sofia Stefan Tamar "
    "Tariq Teresa Tomas Ulrike Umar Vera Viktor Wanda Yara Yusuf Zahra Zoltan".split()
)
NOUNS = tuple(
    "anchor apple arrow autumn badge bakery balloon banana barrel basket beacon bottle branch "
    "bridge bronze bucket butter button cabin cactus camera candle canyon carpet castle cellar "
    "cherry circle circus cloud coffee compass copper cotton cradle crystal curtain desert diamond "
    "dolphin dragon drawer eagle engine fabric falcon feather fiddle finger flower forest fossil "
    "fountain galaxy garden garlic ginger glacier granite guitar hammer harbor helmet honey "
    "island jacket jungle kettle kitchen ladder lantern leather lemon lizard magnet marble market "
    "meadow mirror mountain needle oyster paddle palace pebble pencil pepper pillow planet pocket "
    "rabbit ribbon river rocket saddle salmon scarf shadow shelter silver sketch spider spiral "
    "stable statue summit sunset temple thunder ticket timber trumpet tunnel turtle valley velvet "
    "village violin walnut whistle willow window winter wizard".split()
)
COLOURS = tuple("red blue green yellow white black brown pink purple orange grey silver".split())
GOODS = tuple(
    "lamps chairs mugs tents ropes drums boots vases clocks rugs bells kites pans saws desks "
    "hats globes oars stoves bowls".split()
)
PLACES = tuple(
    "Arden Brixley Calder Dunmore Eastby Farrow Glenholt Harwick Inverlea Kelby Lowton Marsden "
    "Norwell Oakham Penrose Quayside Redmoor Stanwick Thornby Upwell Westray Yarrow".split()
)

_ONSETS = "b bl d dr f fl g gr k kl l m n p pl r s sk t tr v w z".split()
_VOWELS = "a e i o u".split()
_ENDS = "b d g k l m n p r t x".split()


def people(rng: Random, count: int) -> list[str]:
    """Return different first names."""
    return rng.sample(NAMES, count)


def invented(rng: Random, count: int) -> list[str]:
    """Return different words of two syllables that mean nothing."""
    words: dict[str, None] = {}
    while len(words) < count:
        parts = (_ONSETS, _VOWELS, _ONSETS, _VOWELS, _ENDS)
        words["".join(rng.choice(part) for part in parts)] = None
    return list(words)
