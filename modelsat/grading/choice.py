"""Grade a multiple-choice answer: which option does it name?

People and models name an option by its letter or its text, alone, marked, announced ("the answer
is"), concluded ("so B") or confirmed ("B is correct"), in many languages. The first of these rules
that finds an option decides, and the last place that a rule finds:

1. a marked result: a box, a JSON field, a tag, a line after ``####``;
2. nothing but an option: "B", "(b)", "B. Paris", "Paris";
3. a statement that announces, confirms or concludes it, or corrects an earlier one, or a last
   sentence that is nothing but a letter;
4. a letter at the start of the answer or alone on its last line;
5. the text of one option in the last sentence, or in the whole answer;
6. the only letter in the last sentence, or in the whole answer.

Rules 5 and 6 read no answer that was cut off or that refuses. An answer that names two options
as its answer names none.
"""

import re
from collections.abc import Iterator

from modelsat.grading import marked
from modelsat.grading.answer_phrases import (
    ANNOUNCED,
    BECAUSE,
    CONCEDED,
    CONCLUDED,
    CONFIRMED,
    CORRECTED,
    DOUBTED,
    REFUSED,
)
from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion
from modelsat.grading.normal_text import SENTENCE_END
from modelsat.grading.options import MAX_CHOICES, Options, is_denied

_MAX_STATEMENTS = 50  # that are looked at, from the last
_MAX_SENTENCE = 500
_NOUN = re.compile(
    r"\A\s*(?:(?:the\s+)?(?:final\s+|correct\s+)?(?:option|choice|answer|letter)\s*(?:is\b)?\s*:?)?\s*",
    re.IGNORECASE,
)
_COPULA = re.compile(r"\b(?:is|are|was|were|be|equals|est|ist|es|\u00e9|\u00e8)\b|=", re.IGNORECASE)
_LEADING_END = re.compile(r"\s*[(.:,\-\u2013\u2014]|\s*\Z|[ \t]*\n|(?<=[)\]])")
_CONCLUSION_END = re.compile(
    r"[)\]]?\s*(?:[.,;:!()\-\u2013\u2014\u3002\uff0c]|\Z|\n|\b(?:because|since|as|for|is|by|which)\b)"
)
_CORRECTION_END = re.compile(
    r"[)\]]?\s*(?:[.,;!()\-\u2013\u2014\u3002\uff0c]|\Z|\n|because\b|since\b)"
)
_NEGATED_VERB = re.compile(r"(?:not|n['\u2019]t|never|don t)\s+\Z", re.IGNORECASE)
_NEXT_OPTION = re.compile(r"([A-Z])[).:\]][^\n]*\n\s*[(\[]?(?!\1)[A-Z][).:\]]\s")
_SEVERAL_BOXES = re.compile(r"\}\s*\$?\s*(or|and|,|/)\s*\$?\s*\\boxed\s*\{", re.IGNORECASE)
_BUT = re.compile(
    r",?\s+but\s+(?![^.]{0,200}\b(?:also|too|could|might|may|possibl[ey])\b)", re.IGNORECASE
)
_ASIDE = re.compile(r"\([^()\n]*\)")
_IF = re.compile(r"(?:\A|[.!?\n(:])\s*if\b[^.!?\n]*\Z", re.IGNORECASE)
_WOULD = re.compile(r"\bwould\b", re.IGNORECASE)
_ANOTHER_QUESTION = re.compile(r"\b(?:meant|instead|had (?:been )?asked)\b", re.IGNORECASE)
_IF_LATER = re.compile(r"[^.!?\n]*\b(?:if|had)\b", re.IGNORECASE)
_ELIMINATION = re.compile(r"(?:by (?:the )?(?:process of )?elimination,?\s*)?", re.IGNORECASE)
_NEXT_LINE_LISTS = re.compile(r"^[ \t]*[(\[]?[A-Z][).:\]]\s", re.MULTILINE)
_CLOSING = re.compile(r"(?:[.!?\u2026]\s|\n)\s*(?=\S{1,3}\s*\Z)")
_ORDINAL = re.compile(
    r"\A(?:it(?:'s| is)\s+)?(?:the\s+)?(first|second|third|fourth|fifth|last)\s+"
    r"(?:option|choice|one|answer)\.?\Z",
    re.IGNORECASE,
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_LIST_LINE = re.compile(r"(?:^|[.;]\s+)[ \t]*[(\[]?([A-Z])[).:\]]\s", re.MULTILINE)


class ChoiceGrader:
    """The answer is one of the options; see the module's rules."""

    version = 5

    def check(self, question: GradedQuestion) -> None:
        """Check that the gold answer is an option that is offered."""
        if question.args:
            raise ValueError(f"unknown setting {next(iter(question.args))!r}; choice has none")
        if question.n_choices is None or not 2 <= question.n_choices <= MAX_CHOICES:
            raise ValueError(
                f"n_choices is {question.n_choices}; a choice has 2 to {MAX_CHOICES} options"
            )
        if gold_letter(question) is None:
            last = chr(ord("A") + question.n_choices - 1)
            raise ValueError(
                f"the gold answer {question.answer!r} names no option; give a letter from A to "
                f"{last}, its number from 0, or the text of one option"
            )

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return the letter of the gold answer."""
        return gold_letter(question)

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Grade by the option that the answer names."""
        named = named_options(question, answer)
        if len(named) != 1:
            several = " and ".join(sorted(named))
            reason = f"names {several}" if named else "names no option"
            return Grade.without_result(answer, reason)
        [letter] = named
        return Grade.of_score(float(letter == gold_letter(question)), f"names {letter}")


def named_options(question: GradedQuestion, answer: FinalAnswer) -> set[str]:
    """Return the letters of the options that an answer names as its answer."""
    return _named(answer, Options.of_prompt(question.prompt, question.n_choices or 0))


def gold_letter(question: GradedQuestion) -> str | None:
    """Return the letter of the gold answer: stated as ``B``, ``(b)``, ``B.``, ``1`` or as text.

    A number counts from 0, unless it is the text of an option.
    """
    n_choices = question.n_choices or 0
    options = Options.of_prompt(question.prompt, n_choices)
    gold = question.answer.strip()
    letter = gold.strip("()[]. :").upper()
    if letter in options.texts:
        return letter
    by_text = options.equal_to(gold)
    if len(by_text) == 1:
        return by_text.pop()
    if gold.isdecimal() and int(gold) < n_choices:
        return chr(ord("A") + int(gold))
    return None


def _named(answer: FinalAnswer, options: Options) -> set[str]:
    """Return the options that an answer names as its answer."""
    raw = _SEVERAL_BOXES.sub(r" \1 ", answer.ending)
    for value in marked.results(raw):
        found = _whole(options.prepared(value), options)
        if found:
            return found
    text = options.prepared(raw)
    found = (
        _whole(text, options)
        or _stated(text, options, is_cut=answer.is_cut)
        or _at_an_edge(text, options)
    )
    sentences = [part for part in SENTENCE_END.split(text) if part.strip()]
    if found or answer.is_cut or not sentences or REFUSED.search(text):
        return found
    ends_with_option = _LIST_LINE.match(text.splitlines()[-1])
    last = "" if _is_walk(text) and ends_with_option else _main_clause(sentences[-1])
    return (
        options.equal_to(_COPULA.split(last)[-1])
        or _only(options.named_by_text(last))
        or options.named_by_text(text)
        or _only(_letters(last, options))
        or _letters(text, options)
        or options.with_words(text)
    )


def _whole(text: str, options: Options) -> set[str]:
    """Return the options named by a text that says nothing else: "B", "B. Tin", "the last one"."""
    by_text = options.equal_to(text)
    lines = text.split("\n")
    if len(lines) > 1 and all(line.strip(" .()") in options.texts for line in lines):
        return {line.strip(" .()") for line in lines}
    if ordinal := _ORDINAL.match(text):
        return _ordinal(ordinal.group(1).lower(), options)
    if len(text.strip()) == 1 and text.strip() in options.texts:
        return {text.strip()}
    if by_text:
        return by_text
    start = _NOUN.match(text)
    mention = options.group_at(text, start.end() if start else 0)
    if mention is None:
        return set()
    rest = text[mention.end :].strip(" \t\n.:)],;-\u2013\u2014!")
    if not rest:
        return set(mention.letters)
    named = options.equal_to(rest)
    return set(mention.letters) | named if named else set()


def _ordinal(word: str, options: Options) -> set[str]:
    letters = [*options.texts]
    place = len(letters) - 1 if word == "last" else _ORDINALS.index(word)
    return set(letters[place : place + 1])


def _stated(text: str, options: Options, *, is_cut: bool) -> set[str]:
    """Return the options of the last statement that names an answer."""
    ways = [_announced, _concluded, _confirmed, _corrected]
    if not is_cut:
        ways.append(_closing)
    last = [place for way in ways if (place := next(way(text, options), None)) is not None]
    return max(last, key=lambda place: place[0])[1] if last else set()


def _announced(text: str, options: Options) -> Iterator[tuple[int, set[str]]]:
    """Yield place and options of every announcement, the last first."""
    for phrase in reversed([*ANNOUNCED.finditer(text)][-_MAX_STATEMENTS:]):
        if _is_hypothesis(text, phrase) or _is_doubted(text, phrase.start()):
            continue
        mention = options.group_at(text, phrase.end())
        if mention is not None and not is_denied(text, *mention.span):
            if not _NEXT_OPTION.match(text, mention.start):
                yield mention.start, set(mention.letters)
            continue
        sentence = _sentence_at(text, phrase.end())
        named = options.equal_to(sentence) or options.named_by_text(sentence.split(",")[0])
        named = named or _letters(sentence, options)  # "is not A but B"
        if len(named) == 1:
            yield phrase.end(), named


def _is_hypothesis(text: str, phrase: re.Match[str]) -> bool:
    condition = _IF.search(text[max(0, phrase.start() - 200) : phrase.start()])
    return condition is not None and bool(
        _WOULD.search(phrase.group()) or _ANOTHER_QUESTION.search(condition.group())
    )


def _concluded(text: str, options: Options) -> Iterator[tuple[int, set[str]]]:
    """Yield place and options of every conclusion, the last first."""
    for phrase in reversed([*CONCLUDED.finditer(text)][-_MAX_STATEMENTS:]):
        if _is_doubted(text, phrase.start()):
            continue
        manner = _ELIMINATION.match(text, phrase.end())
        mention = options.group_at(text, manner.end() if manner else phrase.end())
        if mention is None:
            by_text = options.equal_to(_sentence_at(text, phrase.end()))
            if len(by_text) == 1:
                yield phrase.end(), by_text
        elif _CONCLUSION_END.match(text, mention.end) and not is_denied(text, *mention.span):
            yield mention.start, set(mention.letters)


def _confirmed(text: str, options: Options) -> Iterator[tuple[int, set[str]]]:
    """Yield place and options of every confirmation, the last first."""
    for mention in reversed([*options.mentions(text)]):
        phrase = CONFIRMED.match(text, mention.end)
        if phrase is None or _is_doubted(text, mention.start):
            continue
        if not (_WOULD.search(phrase.group()) and _IF_LATER.match(text, phrase.end())):
            yield mention.start, set(mention.letters)


def _corrected(text: str, options: Options) -> Iterator[tuple[int, set[str]]]:
    """Yield place and options of every correction ("A. No wait, B"), the last first."""
    for phrase in reversed([*CORRECTED.finditer(text)][-_MAX_STATEMENTS:]):
        mention = options.group_at(text, phrase.end())
        if mention is not None and _CORRECTION_END.match(text, mention.end):
            yield mention.start, set(mention.letters)


def _closing(text: str, options: Options) -> Iterator[tuple[int, set[str]]]:
    """Yield place and option of a last sentence that is nothing but a letter."""
    end = _CLOSING.search(text[-8:])
    place = len(text) - len(text[-8:]) + end.end() if end else len(text)
    mention = options.group_at(text, place)
    if mention is not None and not _is_walk(text) and not text[mention.end :].strip(" .)!"):
        yield mention.start, set(mention.letters)


def _is_doubted(text: str, start: int) -> bool:
    before = text[max(0, start - 40) : start]
    return bool(_NEGATED_VERB.search(before) or DOUBTED.search(before))


def _sentence_at(text: str, start: int) -> str:
    return SENTENCE_END.split(text[start : start + _MAX_SENTENCE].lstrip(), maxsplit=1)[0]


def _at_an_edge(text: str, options: Options) -> set[str]:
    """Return the letters at the start, unless a walk through the options starts there, or last."""
    *_, last = text.splitlines() or [""]
    mention = options.group_at(last, 0)
    if mention is not None and not last[mention.end :].strip(" .)]!"):
        return set(mention.letters)
    first, _, rest = text.partition("\n")
    if rest and not _NEXT_LINE_LISTS.search(rest) and (found := _only(_whole(first, options))):
        return found
    if _is_walk(text):
        return set()
    by_text = options.equal_to(re.split(r"[,.:;!\n\u2013\u2014]", text, maxsplit=1)[0])
    if len(by_text) == 1:
        return by_text
    mention = options.group_at(text, 0)
    if mention is None or not _LEADING_END.match(text, mention.end):
        return set()
    return set() if is_denied(text, *mention.span) else set(mention.letters)


def _is_walk(text: str) -> bool:
    """Return whether a text goes through several options, one after another."""
    return len(set(_LIST_LINE.findall(text))) > 1


def _main_clause(sentence: str) -> str:
    """Return a sentence without asides, concessions and reasons; all of it if that is nothing."""
    main = _ASIDE.sub(" ", sentence)
    reason = BECAUSE.search(main)
    main = main[: reason.start()] if reason and reason.start() > 0 else main
    return CONCEDED.sub(" ", _BUT.split(main)[-1]).strip() or sentence


def _letters(text: str, options: Options) -> set[str]:
    return {letter for mention in options.mentions(text) for letter in mention.letters}


def _only(found: set[str]) -> set[str]:
    return found if len(found) == 1 else set()
