"""Letters and forms of English words."""

from itertools import pairwise

from modelsat.demo.bank.lookup import lookup, parse_pairs
from modelsat.demo.bank.spec import read_tasks
from modelsat.demo.bank.words import LETTERS

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

TASKS = read_tasks(
    "text",
    {
        "first_letter": lookup({word: word[0] for word in WORDS}),
        "last_letter": lookup({word: word[-1] for word in WORDS}),
        "second_letter": lookup({word: word[1] for word in WORDS}),
        "word_length": lookup(
            {word: str(len(word)) for word in (*WORDS, "tea", "lamp", "sugar", "moonlight")}
        ),
        "alphabet_next": lookup(dict(pairwise(LETTERS))),
        "alphabet_previous": lookup({after: before for before, after in pairwise(LETTERS)}),
        "plural": lookup(PLURALS),
        "past_tense": lookup(PAST_TENSES),
        "rhyme": lookup(RHYMES),
        "synonym": lookup(SYNONYMS),
    },
)
