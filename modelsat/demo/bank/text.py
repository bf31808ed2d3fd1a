"""Letters and forms of English words."""

from itertools import pairwise

from modelsat.demo.bank.lookup import lookup_task, parse_pairs
from modelsat.demo.bank.words import LETTERS

FAMILY = "text"
WORDS = tuple(
    "planet garden window butter rocket jungle velvet summit kitchen orchard lantern dragon "
    "whisper yellowtail harbour feather island mirror pepper ticket".split()
)
PLURALS = parse_pairs(
    "child children,mouse mice,goose geese,tooth teeth,foot feet,man men,woman women,ox oxen,"
    "wolf wolves,leaf leaves,knife knives,sheep sheep,city cities,baby babies,box boxes,bus buses"
)
PAST_TENSES = parse_pairs(
    "go went,see saw,eat ate,run ran,buy bought,sing sang,write wrote,take took,drink drank,"
    "fly flew,give gave,know knew,make made,swim swam,teach taught,wear wore"
)
RHYMES = parse_pairs(
    "cat hat,dog log,house blouse,tree bee,moon spoon,star jar,cake snake,light kite,ring king,"
    "rain train,bread shed,boat goat,nose rose,clock sock,door floor,shell bell"
)
SYNONYMS = parse_pairs(
    "big large,quick rapid,begin start,shut close,glad pleased,ill sick,clever smart,odd strange,"
    "rich wealthy,speak talk,weary tired,angry furious,easy simple,silent mute,brave bold,correct "
    "right"
)


TASKS = (
    lookup_task(
        FAMILY,
        "first_letter",
        ("text", "letter", "first", "start", "word"),
        {word: word[0] for word in WORDS},
        (
            "{who} writes {it} on the {event} sign. What is the first letter of this word?",
            "Which letter does the word {it} start with? {who} asks at the {event}.",
            "At the {event} {who} spells {it}. Which letter comes first?",
            "{who} looks up {it} after the {event}. With which letter does it start?",
        ),
        (
            "Tell {who} the letter at the start of {it} for the {event} quiz.",
            "For the {event} {who} prints {it}. Can you say which letter is first?",
        ),
    ),
    lookup_task(
        FAMILY,
        "last_letter",
        ("text", "letter", "last", "end", "word"),
        {word: word[-1] for word in WORDS},
        (
            "{who} writes {it} on the {event} sign. What is the last letter of this word?",
            "Which letter does the word {it} end with? {who} asks at the {event}.",
            "At the {event} {who} spells {it}. Which letter comes last?",
            "{who} looks up {it} after the {event}. With which letter does it end?",
        ),
        (
            "Tell {who} the letter at the end of {it} for the {event} quiz.",
            "For the {event} {who} prints {it}. Can you say which letter is last?",
        ),
    ),
    lookup_task(
        FAMILY,
        "second_letter",
        ("text", "letter", "second", "position", "word"),
        {word: word[1] for word in WORDS},
        (
            "{who} writes {it} on the {event} sign. What is the second letter of this word?",
            "Which letter is second in the word {it}? {who} asks at the {event}.",
            "At the {event} {who} spells {it}. Which letter comes second?",
            "{who} looks up {it} after the {event}. What is its second letter?",
        ),
        (
            "Tell {who} the letter in second place of {it} for the {event} quiz.",
            "For the {event} {who} prints {it}. Can you say which letter is second?",
        ),
    ),
    lookup_task(
        FAMILY,
        "word_length",
        ("text", "length", "count", "letters", "word"),
        {word: str(len(word)) for word in (*WORDS, "tea", "lamp", "sugar", "moonlight")},
        (
            "{who} writes {it} on the {event} sign. How many letters does this word have?",
            "How long is the word {it}, counted in letters? {who} asks at the {event}.",
            "At the {event} {who} spells {it}. How many letters are there?",
            "{who} looks up {it} after the {event}. How many letters are in it?",
        ),
        (
            "Tell {who} how many letters {it} has for the {event} quiz.",
            "For the {event} {who} prints {it}. Can you count how many letters are in it?",
        ),
    ),
    lookup_task(
        FAMILY,
        "alphabet_next",
        ("text", "alphabet", "next", "order", "letter"),
        dict(pairwise(LETTERS)),
        (
            'Which letter of the alphabet comes next after "{it}"? {who} labels {event} seats.',
            '{who} sorts {event} tickets by the alphabet and is at "{it}". Which is next?',
            'The {event} row of {who} is "{it}". What is the next letter of the alphabet?',
            '{who} sings the alphabet at the {event}: what comes after "{it}"?',
        ),
        (
            'Please help {who} sort the {event} list: in the alphabet, what is next to "{it}"?',
            'Row "{it}" of the {event} is full, so which alphabet letter is next for {who}?',
        ),
    ),
    lookup_task(
        FAMILY,
        "alphabet_previous",
        ("text", "alphabet", "previous", "before", "letter"),
        {after: before for before, after in pairwise(LETTERS)},
        (
            'Which letter of the alphabet comes just before "{it}"? {who} labels {event} seats.',
            '{who} sorts {event} tickets by the alphabet and is at "{it}". Which was previous?',
            'The {event} row of {who} is "{it}". What is the previous letter of the alphabet?',
            '{who} says the alphabet backwards at the {event}: what is before "{it}"?',
        ),
        (
            'Please help {who} sort the {event} list: in the alphabet, what precedes "{it}", the '
            "letter before?",
            'Row "{it}" of the {event} is full, so which alphabet letter is previous for {who}?',
        ),
    ),
    lookup_task(
        FAMILY,
        "plural",
        ("text", "plural", "noun", "grammar", "many"),
        PLURALS,
        (
            "What is the plural of {it}? {who} needs it for a {event}.",
            "{who} writes about one {it} at the {event}. What is the plural?",
            "One {it}, many what? {who} asks before the {event}.",
            "At the {event} {who} wants the word for more than one {it}. What is it?",
        ),
        (
            "Tell {who} the plural form of {it} for the {event} poster.",
            "If there are many and not just one {it} at the {event}, what should {who} write?",
        ),
    ),
    lookup_task(
        FAMILY,
        "past_tense",
        ("text", "verb", "past", "tense", "grammar"),
        PAST_TENSES,
        (
            "What is the past tense of {it}? {who} needs it for a {event}.",
            "{who} uses the verb {it} at the {event}. What is its past form?",
            "Today they {it}, yesterday they what? {who} asks before the {event}.",
            "At the {event} {who} puts the verb {it} in the past. What is it?",
        ),
        (
            "Tell {who} the past form of the verb {it} for the {event} report.",
            "In the past tense, how should {who} write {it} about the {event}?",
        ),
    ),
    lookup_task(
        FAMILY,
        "rhyme",
        ("text", "rhyme", "sound", "poem", "word"),
        RHYMES,
        (
            "Which word rhymes with {it}? {who} needs it for a {event}.",
            "{who} writes a poem about a {it} at the {event}. What rhymes with it?",
            "Give a rhyme for {it}, asks {who} before the {event}. Which word is it?",
            "At the {event} {who} sings about the {it}. Which word makes a rhyme?",
        ),
        (
            "Tell {who} what rhymes with {it} for the {event} song.",
            "The {event} poem of {who} ends in {it}. Can you find the rhyme?",
        ),
    ),
    lookup_task(
        FAMILY,
        "synonym",
        ("text", "synonym", "meaning", "same", "word"),
        SYNONYMS,
        (
            "Which word means the same as {it}? {who} needs it for a {event}.",
            "{who} reads the word {it} at the {event}. What is a synonym?",
            "Give a synonym for {it}, asks {who} before the {event}. Which word is it?",
            "At the {event} {who} wants another word for {it}. Which means the same?",
        ),
        (
            "Tell {who} a synonym of {it} for the {event} speech.",
            "What could {who} say at the {event} that means the same but is not {it}?",
        ),
    ),
)
