"""Grade a short text: it is one of the references, or shares words with them."""

import json
import re
from collections import Counter
from collections.abc import Iterator

from modelsat.grading import marked
from modelsat.grading.answer_phrases import ANNOUNCED, CONCEDED, LISTED
from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion
from modelsat.grading.normal_text import CJK, SENTENCE_END, comparable, words
from modelsat.grading.options import is_denied

_MAX_MORE_WORDS = 5  # of a first line than of the longest reference, to count as an answer
_MAX_STATED_WORDS = 12  # of a text that two candidates can give alike
_MAX_SENTENCE_WORDS = 40  # of an answer that is searched for a reference
# "Paris, not London", "Paris because it is", "Paris (France)".
_ASIDE = re.compile(
    r",\s*(?=not\b|of course\b|which\b|because\b|since\b|as\b|it\b|the\b|a\b)"
    r"|\s+(?=because\b|since\b|which\b|\()"
)
_PROSE_WORD = re.compile(r"[^\W\d_]{2,}(?:['\u2019][^\W\d_]+)?")
_RELATIVE = re.compile(r",\s*(?:which|who|whose|where)\b[^,.;]*")
# What stands before an answer in a sentence; any other word would make it part of a longer name.
_BEFORE_NAME = re.compile(
    r"(?:\A|[.!?:(\u2014\u2013\u3002]\s*|[\u3040-\u9fff\uac00-\ud7af]\s*|['\u2019]s\s+|(?<!\w)(?:is|was|are|were|be|by|in"
    r"|at|on|to|from|of|called|named|as|but|year|actually|the|a|an|est|ist|es|\u00e9|\u00e8|la|le|der|die|das"
    r"|el|o|it was|it is)\s+)\Z",
    re.IGNORECASE,
)
# One of several: "Paris or Rome", "Rome and Paris", "Paris, Texas".
_OTHER_BEFORE = re.compile(rf"[\w)]\s*(?:,\s*{LISTED}|/|&|{LISTED})\s*(?:the\s+)?\Z", re.IGNORECASE)
_OTHER_AFTER = re.compile(
    rf"\s*(?:,\s*(?:(?-i:[A-Z])|\d)|/|&|->|\u2192|(?:,\s*)?{LISTED})", re.IGNORECASE
)


class TextGrader:
    """The answer is a text; the gold answer is one reference, or a JSON list of several.

    Settings: ``metric``, ``exact`` (default) or ``f1``: the share of words in common with the
    closest reference, as SQuAD counts it (Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250).
    """

    version = 3

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
        text = marked.unwrapped(answer.ending)
        certain = {comparable(part) for part in _certain(answer.ending, text)}
        if not any(certain) and not words(text):
            return Grade.without_result(answer, "says nothing")
        if wanted & {*certain, *map(comparable, _said(text))}:
            return Grade.of_score(1.0, "is a reference")
        # What an answer states as its answer counts, not what it mentions besides.
        stated = [part for part in _certain(answer.ending, text) if words(part)] or [text]
        if any(
            _is_named(reference, part)
            for reference in references(question.answer)
            for part in stated
        ):
            return Grade.of_score(1.0, "names a reference")
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
    for phrase in ANNOUNCED.finditer(text):
        rest = text[phrase.end() :]
        if phrase.group()[-1:].isspace() or not phrase.group()[-1:].isalnum():
            yield SENTENCE_END.split(rest.lstrip(), maxsplit=1)[0]


def _said(text: str) -> Iterator[str]:
    """Yield the parts of a text that may be the answer: the whole, first line, first words."""
    lines = [line for line in text.splitlines() if line.strip()]
    for part in (text, *lines[:1]):
        yield part
        yield _ASIDE.split(part, maxsplit=1)[0]


def _is_named(reference: str, text: str) -> bool:
    """Return whether a sentence names a reference: as words, not denied, not one of several."""
    others = {*words(text)} - {*words(reference)}
    is_prose = any(map(_PROSE_WORD.fullmatch, others)) or CJK.search(text)
    if len(words(text)) > _MAX_SENTENCE_WORDS or not is_prose:
        return False
    main = _RELATIVE.sub(" ", CONCEDED.sub(" ", text))
    if CJK.search(reference):
        places = re.finditer(re.escape(reference.strip()), main)
    else:
        joined = r"[\W_]+".join(re.escape(word) for word in words(reference))
        places = re.finditer(rf"(?<![\w.-]){joined}(?![\w-]|[.,]\d|['\u2019]s\b)", main, re.I)
    return any(
        _BEFORE_NAME.search(main[: place.start()])
        and not is_denied(main, *place.span())
        and not _OTHER_BEFORE.search(main[: place.start()])
        and not _OTHER_AFTER.match(main, place.end())
        for place in places
    )


def _is_line(text: str, wanted: set[str]) -> bool:
    """Return whether the first line is complete and short enough to be an answer."""
    first, newline, _ = text.lstrip().partition("\n")
    longest = max(len(reference.split()) for reference in wanted)
    return bool(newline) and len(first.split()) <= longest + _MAX_MORE_WORDS


def _f1(given: list[str], reference: list[str]) -> float:
    common = (Counter(given) & Counter(reference)).total()
    return 2 * common / (len(given) + len(reference)) if common else 0.0
