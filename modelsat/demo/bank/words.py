"""Word lists that several families share. Order matters: drawing is by position."""

NAMES = tuple(
    "Anna Ben Cleo Dan Eva Finn Gina Hugo Iris Jack Kira Liam Mona Nico Olga Paul Quinn Rosa "
    "Sam Tara Uma Vera Will Xena Yara Zoe Adam Bella Carl Dora Emil Fay Gus Hana Ivan Jill Karl "
    "Lena Max Nora Omar Pia Ralf Sara Tom Ulla Viktor Wanda".split()
)
THINGS = tuple(
    "apples books coins stamps shells marbles cards pens stones tickets plums buttons cups eggs "
    "candles balls boxes keys nuts spoons photos tiles ropes masks".split()
)
COLOURS = tuple("red blue green yellow black white brown pink purple orange grey golden".split())
EVENTS = tuple(
    "party lesson concert match exam picnic meeting wedding race show trip dinner parade "
    "interview rehearsal class workshop ceremony lecture tour game fair dance walk".split()
)
DAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
MONTHS = tuple(
    "January February March April May June July August September October November December".split()
)
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
NUMBERS = tuple(str(n) for n in range(101))
