"""Letters of made-up words, and words of short lists."""

from collections.abc import Callable
from random import Random

from modelsat.demo.bank.spec import Item, TaskSpec
from modelsat.demo.bank.words import LETTERS, NAMES, THINGS

FAMILY = "text"
_VOWELS = "aeiou"
_CONSONANTS = "bcdfghjklmnpqrstvwxyz"
_LENGTHS = tuple(str(n) for n in range(3, 10))


def make_word(rng: Random, length: int) -> str:
    """A pronounceable word of different letters (length at most 10): they alternate in kind."""
    vowels = rng.sample(_VOWELS, 5)
    consonants = rng.sample(_CONSONANTS, 5)
    start = rng.randrange(2)
    return "".join((vowels if i % 2 == start else consonants)[i // 2] for i in range(length))


def _letter_task(solve: Callable[[str], str]) -> Callable[[Random, str], Item]:
    def draw(rng: Random, _subject: str) -> Item:
        word = make_word(rng, rng.randint(4, 8))
        answer = solve(word)
        wrong = [letter for letter in word if letter != answer]
        return Item({"word": word}, answer, tuple(rng.sample(wrong, 3)))

    return draw


def _neighbour(shift: int) -> Callable[[Random, str], Item]:
    """Which letter stands beside a given one: shift 1 asks for the one after, -1 before."""

    def draw(rng: Random, _subject: str) -> Item:
        word = make_word(rng, rng.randint(5, 8))
        places = range(len(word) - 1) if shift > 0 else range(1, len(word))
        place = rng.choice(places)
        answer = word[place + shift]
        wrong = [letter for letter in word if letter not in (answer, word[place])]
        return Item({"word": word, "letter": word[place]}, answer, tuple(rng.sample(wrong, 3)))

    return draw


def _length(rng: Random, _subject: str) -> Item:
    word = make_word(rng, rng.randint(3, 9))
    return Item({"word": word}, str(len(word)))


def _double(rng: Random, _subject: str) -> Item:
    word = make_word(rng, rng.randint(4, 7))
    place = rng.randrange(1, len(word))
    doubled = word[:place] + word[place] + word[place:]
    wrong = [letter for letter in word if letter != word[place]]
    return Item({"word": doubled}, word[place], tuple(rng.sample(wrong, 3)))


def _alphabet(rng: Random, _subject: str) -> Item:
    place = rng.randrange(25)
    slots = {"letter": LETTERS[place], "who": rng.choice(NAMES), "thing": rng.choice(THINGS)}
    return Item(slots, LETTERS[place + 1])


def _list_word(place: int) -> Callable[[Random, str], Item]:
    def draw(rng: Random, _subject: str) -> Item:
        words = rng.sample(THINGS, 4)
        wrong = tuple(word for word in words if word != words[place])
        return Item(dict(zip("abcd", words, strict=True)), words[place], wrong)

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


TASKS = (
    _task(
        "first_letter",
        ("text", "letter", "first", "start", "word"),
        _letter_task(lambda word: word[0]),
        LETTERS,
        (
            'What is the first letter of the word "{word}"?',
            'Which letter does "{word}" start with?',
            'The word is "{word}". What is its first letter?',
            'With which letter does the word "{word}" start?',
            'Spell "{word}". Which letter comes first?',
        ),
        (
            'I wrote "{word}" on a card. Tell me the letter at the start.',
            'Can you say which letter is first when you read "{word}"?',
        ),
    ),
    _task(
        "last_letter",
        ("text", "letter", "last", "end", "word"),
        _letter_task(lambda word: word[-1]),
        LETTERS,
        (
            'What is the last letter of the word "{word}"?',
            'Which letter does "{word}" end with?',
            'The word is "{word}". What is its last letter?',
            'With which letter does the word "{word}" end?',
            'Spell "{word}". Which letter comes last?',
        ),
        (
            'I wrote "{word}" on a card. Tell me the letter at the end.',
            'Can you say which letter is last when you read "{word}"?',
        ),
    ),
    _task(
        "second_letter",
        ("text", "letter", "second", "position", "word"),
        _letter_task(lambda word: word[1]),
        LETTERS,
        (
            'What is the second letter of the word "{word}"?',
            'Which letter is the second one in "{word}"?',
            'The word is "{word}". What is its second letter?',
            'Which letter stands in second place in the word "{word}"?',
            'Spell "{word}". Which letter comes second?',
        ),
        (
            'I wrote "{word}" on a card. Tell me the second letter.',
            'Can you say which letter is second when you read "{word}"?',
        ),
    ),
    _task(
        "letter_after",
        ("text", "letter", "after", "following", "word"),
        _neighbour(1),
        LETTERS,
        (
            'Which letter comes after "{letter}" in the word "{word}"?',
            'In "{word}", which letter follows "{letter}"?',
            'The word is "{word}". What letter is right after "{letter}"?',
            'What is the letter after "{letter}" in "{word}"?',
            'Spell "{word}". Which letter follows the "{letter}"?',
        ),
        (
            'I wrote "{word}" on a card. Tell me the letter that follows "{letter}".',
            'Can you say which letter you read after "{letter}" in "{word}"?',
        ),
    ),
    _task(
        "letter_before",
        ("text", "letter", "before", "preceding", "word"),
        _neighbour(-1),
        LETTERS,
        (
            'Which letter comes before "{letter}" in the word "{word}"?',
            'In "{word}", which letter precedes "{letter}"?',
            'The word is "{word}". What letter is right before "{letter}"?',
            'What is the letter before "{letter}" in "{word}"?',
            'Spell "{word}". Which letter precedes the "{letter}"?',
        ),
        (
            'I wrote "{word}" on a card. Tell me the letter that precedes "{letter}".',
            'Can you say which letter you read before "{letter}" in "{word}"?',
        ),
    ),
    _task(
        "word_length",
        ("text", "length", "count", "letters", "word"),
        _length,
        _LENGTHS,
        (
            'How many letters does the word "{word}" have?',
            'How long is "{word}", counted in letters?',
            'The word is "{word}". How many letters are in it?',
            'What is the length of the word "{word}"?',
            'Spell "{word}". How many letters do you count?',
        ),
        (
            'I wrote "{word}" on a card. Tell me how many letters it has.',
            'Can you count how many letters you read in "{word}"?',
        ),
    ),
    _task(
        "double_letter",
        ("text", "letter", "repeated", "twin", "word"),
        _double,
        LETTERS,
        (
            'Which letter is repeated in the word "{word}"?',
            'In "{word}", which letter is there two times?',
            'The word is "{word}". What is the repeated letter?',
            'Which letter stands two times in a row in "{word}"?',
            'Spell "{word}". Which letter is repeated?',
        ),
        (
            'I wrote "{word}" on a card. Tell me the repeated letter.',
            'Can you say which letter you read two times in "{word}"?',
        ),
    ),
    _task(
        "alphabet_next",
        ("text", "alphabet", "next", "order", "letter"),
        _alphabet,
        LETTERS,
        (
            'Which letter of the alphabet comes next after "{letter}"? {who} labels {thing}.',
            '{who} sorts {thing} by the alphabet and is at "{letter}". Which letter is next?',
            'The {thing} of {who} are at letter "{letter}". What is next in the alphabet?',
            '{who} sings the alphabet to the {thing}: what comes after "{letter}"?',
        ),
        (
            'Please help {who} put {thing} in order: in the alphabet, what is next to "{letter}"?',
            'Label "{letter}" of the {thing} is used up, so which alphabet letter is next for {who}?',
        ),
    ),
    _task(
        "first_word",
        ("text", "list", "first", "item", "words"),
        _list_word(0),
        THINGS,
        (
            "Which word is first in this list: {a}, {b}, {c}, {d}?",
            "The list says {a}, {b}, {c}, {d}. What is the first word?",
            "Read {a}, {b}, {c}, {d}. Which word starts the list?",
            "My list is {a}, {b}, {c}, {d}. What comes first?",
        ),
        (
            "I have to get {a}, {b}, {c}, {d}. Tell me the first thing on my list.",
            "In the list {a}, {b}, {c}, {d}, can you say which word is at the start?",
        ),
    ),
    _task(
        "last_word",
        ("text", "list", "last", "item", "words"),
        _list_word(3),
        THINGS,
        (
            "Which word is last in this list: {a}, {b}, {c}, {d}?",
            "The list says {a}, {b}, {c}, {d}. What is the last word?",
            "Read {a}, {b}, {c}, {d}. Which word ends the list?",
            "My list is {a}, {b}, {c}, {d}. What comes last?",
        ),
        (
            "I have to get {a}, {b}, {c}, {d}. Tell me the last thing on my list.",
            "In the list {a}, {b}, {c}, {d}, can you say which word is at the end?",
        ),
    ),
)
