"""Grade a short text: it is one of the references, or shares words with them."""

import json
import re
from collections import Counter
from collections.abc import Iterator

from modelsat.grading import marked
from modelsat.grading.answer_phrases import ANNOUNCED, CONCEDED, DENYING, LISTED, REFUSED
from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion
from modelsat.grading.normal_text import CJK, MARKS, SENTENCE_END, comparable, words
from modelsat.grading.options import is_denied

_MAX_MORE_WORDS = 5  # of a first line than of the longest reference, to count as an answer
_MAX_STATED_WORDS = 12  # of a text that two candidates can give alike
_MAX_STATEMENTS = 50  # that are read, from the last
_MAX_CHARS_OF_STATEMENT = 500
_MAX_SENTENCE_WORDS = 40  # of an answer that is searched for a reference
# "Paris, not London", "Paris because it is", "Paris (France)".
_ASIDE = re.compile(
    r",\s*(?=not\b|of course\b|which\b|because\b|since\b|as\b|it\b|the\b|a\b)"
    r"|\s+(?=because\b|since\b|which\b|\()"
)
_LETTER = rf"(?:[^\W\d_]|[{MARKS}])"
_PROSE_WORD = re.compile(rf"{_LETTER}{{2,}}(?:['\u2019]{_LETTER}+)?")
_RELATIVE = re.compile(r",\s*(?:which|who|whose|where)\b[^,.;]*")
_IN_CJK = r"[\u3040-\u9fff\uac00-\ud7af]"
_WORD_STARTS = re.compile(rf"(?<![\w.{MARKS}-])|(?<={_IN_CJK})")
_WORD_ENDS = re.compile(rf"(?![\w{MARKS}-]|[.,]\d|['\u2019]s\b)|(?={_IN_CJK})")
# What may stand before an answer anywhere in a sentence.
_BEFORE_NAME = re.compile(
    rf"(?:\A|[.!?:(\u2014\u2013\u3002]\s*|{_IN_CJK}\s*|['\u2019]s\s+|(?<!\w)(?:is|was|are|were|be|by|in"
    r"|at|on|to|from|of|called|named|as|but|year|actually|the|a|an|est|ist|es|\u00e9|\u00e8|la|le|der|die|das"
    r"|el|o|it was|it is|perhaps|maybe|probably|possibly|likely|\u044d\u0442\u043e)\s+"
    r"|(?-i:[A-Z])[a-z]+\.? \d{1,2},\s+"  # "July 20, 1969"
    r"|(?<!\w)(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?\s+)\Z",
    re.IGNORECASE,
)
_SPACED_WORD = re.compile(rf"(?<![\w{MARKS}'\u2019-])({_LETTER}+)\s+\Z")
_APART = frozenset(
    "near outside beyond beside besides before after than like through towards toward via without"
    " north south east west northern southern eastern western new old non anti half".split()
)
# The end of an answer, after a copula of Hindi or an ending of Turkish.
_LAST = re.compile(
    rf"(?:['\u2019]{_LETTER}{{1,5}})?(?:\s+(?:\u0939\u0948|\u0939\u0948\u0902|\u0925\u093e|\u0925\u0940))?[\s.!\u3002\u0964]*\Z"
)
_WORD_FOLLOWS = re.compile(r"\s+\w")  # "there is no doubt"
_SENTENCE_MARK = re.compile(r"[,;:.!?\u3002\u060c\u0964]")
_RETRACTED = re.compile(r"\A[^.?!\n]*\?\s*no\b[\s,.:]+(?=\w)", re.IGNORECASE)  # "Kyoto? No, Tokyo."
# One of several: "Paris or Rome", "Rome and Paris", "Paris, Texas".
_OTHER_BEFORE = re.compile(
    rf"[\w)]\s*(?:,\s*{LISTED}|/|&|{LISTED})\s*(?:(?:the|perhaps|maybe|possibly|probably)\s+)?\Z",
    re.IGNORECASE,
)
_OTHER_AFTER = re.compile(
    rf"\s*(?:,\s*(?:(?-i:[A-Z])|\d)|/|&|->|\u2192|(?:,\s*)?{LISTED})", re.IGNORECASE
)


class TextGrader:
    """The answer is a text; the gold answer is one reference, or a JSON list of several.

    Settings: ``metric``, ``exact`` (default) or ``f1``: the share of words in common with the
    closest reference, as SQuAD counts it (Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250).
    """

    version = 5

    def check(self, question: GradedQuestion) -> None:
        """Check that there is a reference, and the metric is known."""
        if not references(question.answer):
            raise ValueError("the gold answer is empty")
        for name, value in question.args.items():
            if name != "metric" or value not in ("exact", "f1"):
                raise ValueError(f"{name} is {value!r}; the only setting is metric, exact or f1")

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return the first reference."""
        return references(question.answer)[0]

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Compare every reading of the answer with every reference."""
        wanted = {comparable(reference) for reference in references(question.answer)}
        text = _RETRACTED.sub("", marked.unwrapped(answer.ending))
        certain = {comparable(part) for part in _certain(answer.ending, text)}
        if not any(certain) and not words(text):
            return Grade.without_result(answer, "says nothing")
        if wanted & {*certain, *map(comparable, _said(text, question.prompt))}:
            return Grade.of_score(1.0, "is a reference")
        # What an answer states as its answer counts, not what it mentions besides.
        stated = [part for part in _certain(answer.ending, text) if words(part)] or [text]
        if any(
            _is_named(reference, part)
            for reference in references(question.answer)
            for part in stated
        ):
            return Grade.of_score(1.0, "names a reference")
        first_sentence = SENTENCE_END.split(text.strip(), maxsplit=1)[0]
        if not any(certain) and REFUSED.search(first_sentence):
            return Grade.without_result(answer, "names no answer")
        if question.args.get("metric") == "f1":
            score = max(_f1(words(text), words(reference)) for reference in wanted)
            return Grade.of_score(score, "shares words with a reference")
        if answer.is_cut and not any(certain) and not _is_line(text, wanted):
            return Grade.without_result(answer, "ends before it is complete")
        return Grade.of_score(0.0, "is not a reference")


def stated_text(answer: FinalAnswer) -> str | None:
    """Return the text that an answer states as its answer, comparable; None if it is long prose."""
    text = marked.unwrapped(answer.ending)
    for part in (*_certain(answer.ending, text), text):
        if words(part) and len(words(part)) <= _MAX_STATED_WORDS:
            return comparable(part)
    return None


def references(answer: str) -> tuple[str, ...]:
    """Return the texts of a gold answer: itself, or the members of a JSON list."""
    if answer.lstrip().startswith("["):
        try:
            members = json.loads(answer)
        except ValueError:
            members = None
        if isinstance(members, list) and all(isinstance(member, str) for member in members):
            return tuple(member for member in members if member.strip())
    return (answer,) if answer.strip() else ()


def _certain(raw: str, text: str) -> Iterator[str]:
    """Yield the texts that are marked or announced as the answer."""
    yield from map(marked.unwrapped, marked.results(raw))
    for phrase in [*ANNOUNCED.finditer(text)][-_MAX_STATEMENTS:]:
        rest = text[phrase.end() :][:_MAX_CHARS_OF_STATEMENT]
        if phrase.group()[-1:].isspace() or not phrase.group()[-1:].isalnum():
            yield SENTENCE_END.split(rest.lstrip(), maxsplit=1)[0]


def _said(text: str, prompt: str) -> Iterator[str]:
    """Yield the parts of a text that may be the answer: the whole, first line, first words.

    Words of the question may follow it: "Paris, France" to a question about France.
    """
    asked = {*words(prompt)}
    lines = [line for line in text.splitlines() if line.strip()]
    for part in (text, *lines[:1]):
        yield part
        yield _ASIDE.split(part, maxsplit=1)[0]
        name, _, place = part.partition(",")
        if words(place) and {*words(place)} <= asked and not asked & {*words(name)}:
            yield name


def _is_named(reference: str, text: str) -> bool:
    """Return whether a sentence names a reference: as words, not denied, not one of several."""
    others = {*words(text)} - {*words(reference)}
    is_prose = any(map(_PROSE_WORD.fullmatch, others)) or CJK.search(text)
    if len(words(text)) > _MAX_SENTENCE_WORDS or not is_prose:
        return False
    main = _RELATIVE.sub(" ", CONCEDED.sub(" ", text))
    return any(
        (_BEFORE_NAME.search(main[: place.start()]) or _ends_sentence(main, place))
        and not is_denied(main, *place.span())
        and not _OTHER_BEFORE.search(main[: place.start()])
        and not _OTHER_AFTER.match(main, place.end())
        and not (reference.casefold() == "no" and _WORD_FOLLOWS.match(main, place.end()))
        for place in _places(reference, main)
    )


def _places(reference: str, text: str) -> Iterator[re.Match[str]]:
    """Yield where a text has the words of a reference, whole."""
    if CJK.search(reference):
        yield from re.finditer(re.escape(reference.strip()), text)
        return
    joined = r"[\W_]+".join(re.escape(word) for word in words(reference))
    for place in re.finditer(joined, text, re.IGNORECASE):
        if _WORD_STARTS.match(text, place.start()) and _WORD_ENDS.match(text, place.end()):
            yield place


def _ends_sentence(text: str, place: re.Match[str]) -> bool:
    """Return whether a name ends a text of one clause: "Plants absorb carbon dioxide".

    A capital letter before it makes it part of a longer name ("South Korea"). So does a word
    that is the first of its phrase, unless the name itself has a capital letter ("dark green").
    """
    before, name = text[: place.start()], place.group()
    word = _SPACED_WORD.search(before)
    if not word or len(name) == 1 or name[0].isdigit() or not _LAST.match(text, place.end()):
        return False
    if word[1][0].isupper() or word[1] in _APART or DENYING.search(before):
        return False
    is_first = not name[0].isupper() and _BEFORE_NAME.search(before[: word.start()])
    return not is_first and not _SENTENCE_MARK.search(before)


def _is_line(text: str, wanted: set[str]) -> bool:
    """Return whether the first line is complete and short enough to be an answer."""
    first, newline, _ = text.lstrip().partition("\n")
    longest = max(len(reference.split()) for reference in wanted)
    return bool(newline) and len(first.split()) <= longest + _MAX_MORE_WORDS


def _f1(given: list[str], reference: list[str]) -> float:
    common = (Counter(given) & Counter(reference)).total()
    return 2 * common / (len(given) + len(reference)) if common else 0.0
