r"""Grade a number or a mathematical expression.

The result of a worked solution is what it marks (a box, a tag, a line after ``####``), else what
it announces ("the answer is"), else what stands after the last equals sign of its last line.
"""

import re
from collections.abc import Iterator
from fractions import Fraction

from modelsat.grading import marked
from modelsat.grading.answer_phrases import ANNOUNCED
from modelsat.grading.bounded_work import WORKER, LimitExceeded
from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion
from modelsat.grading.plain_numbers import is_percent, leading_number, number, numbers_in

_MARKS = (marked.boxed, marked.tagged, marked.after_hashes, marked.json_result)
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?:\s|\Z)|[\u3002\uff01\uff1f\u0964]|\n")
_MATH_MARKS = re.compile(
    r"\\[()\[\]]|\$\$?(?!\s*-?[\d.])|(?<=[^\s\\])\$|(?<![\w)])\*\*|\*\*(?![\w(])|`"
)
# Not dollars: "$2 = $18".
_DELIMITED = re.compile(
    r"(?<![\\\w*])\$(?!\s)([^$\n]+?)(?<![\s(])\$(?!\s*[\d(])|\\\((.+?)\\\)|\\\[(.+?)\\\]"
)
# Words, other than those that belong to an expression.
_PROSE = re.compile(
    r"(?<![\\A-Za-z{])(?!(?:and|sin|cos|tan|log|exp|sqrt|inf|max|min|mod|infinity|theta|pi)\b)"
    r"[A-Za-z]{2,}(?<!\bor)(?<!\bln)(?<!\bin)"
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|equals?|be|gives?|gets?|got|have|has|obtain|leaving|leaves|makes?|making|earn(?:s|ed|ing)?|pa(?:id|ys?)|costs?|spends?|spent|takes?|took|giving|totall?ing)\b|:\s"
)
_MAX_CHARS_OF_RESULT = 500
_CONTRAST = re.compile(r"\Anot\s+[^.]*?\bbut\s+")  # "not 42 but 24"
_ASIDE = re.compile(r",\s*(?=not\b|because\b|since\b)|\s+\((?=\d*\s*[A-Za-z])")
_APPROXIMATION = re.compile(r"\s*\(\s*(?:[~\u2248]|\\approx)[^()]*\)\s*\Z")  # "2/3 (~0.67)"
_LEADING_WORDS = re.compile(r"\A(?:[A-Za-z]{2,}\s+)+(?=[^A-Za-z\s])")
_SEVERAL = re.compile(r",|\b(?:and|or)\b")
_SIGNS = {  # of plain notation
    "\u2212": "-",
    "\u00d7": r"\times ",
    "\u00b7": r"\cdot ",
    "\u00f7": "/",
    "\u2264": r"\le ",
    "\u2265": r"\ge ",
    "\u03c0": r"\pi ",
    "\u221e": r"\infty ",
    "\u00b2": "^2",
    "\u00b3": "^3",
    "\u00bd": "1/2",
    "\u00bc": "1/4",
    "\u00be": "3/4",
    "\u2044": "/",
    "\u222a": r"\cup ",
    "\u2208": r"\in ",
}
_ROUNDING = Fraction(1, 10**6)  # relative; as math-verify rounds


class NumberGrader:
    """The answer is a number, within a tolerance.

    Settings: ``tolerance`` (absolute) and ``relative_tolerance``, both 0 by default.
    """

    version = 1

    def check(self, question: GradedQuestion) -> None:
        """Check that the gold answer is a number and the tolerances are not negative."""
        if number(_clean(question.answer)) is None:
            raise ValueError(f"the gold answer {question.answer!r} is not a number")
        for name, value in question.args.items():
            if name not in ("tolerance", "relative_tolerance"):
                raise ValueError(f"unknown setting {name!r}; tolerance or relative_tolerance")
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ValueError(f"{name} is {value!r}; it must be a number of at least 0")

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return the gold answer."""
        return question.answer

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Compare the last stated number with the gold answer."""
        gold = number(_clean(question.answer))
        assert gold is not None  # checked
        stated, given = stated_number(answer)
        if given is None:
            return Grade.without_result(answer, "states no number")
        allowed = max(
            Fraction(question.args.get("tolerance", 0)),
            Fraction(question.args.get("relative_tolerance", 0)) * abs(gold),
        )
        values = _readings(given, stated or "")
        is_right = any(abs(value - gold) <= allowed for value in values)
        return Grade.of_score(float(is_right), f"states {stated or given}")


def stated_number(answer: FinalAnswer) -> tuple[str | None, Fraction | None]:
    """Return the result that an answer states as text, and its number; None for what it lacks."""
    stated = stated_result(answer)
    given = None if stated is None else number(stated)
    if given is None and not answer.is_cut:
        *_, last = "", *numbers_in(stated or answer.ending)
        given = number(last)
    return stated, given


class MathGrader:
    """The answer is an expression that equals the gold answer: math-verify decides."""

    version = 1

    def check(self, question: GradedQuestion) -> None:
        """Check that the gold answer is an expression."""
        if question.args:
            raise ValueError(f"unknown setting {next(iter(question.args))!r}; math has none")
        gold = _clean(question.answer)
        if number(gold) is None:
            try:
                WORKER.are_equal(_latex(gold), "0")
            except (ValueError, LimitExceeded) as error:
                raise ValueError(f"the gold answer {question.answer!r}: {error}") from None

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return the gold answer."""
        return question.answer

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Compare the last stated result with the gold answer."""
        gold, stated = _clean(question.answer), stated_result(answer)
        if not stated:
            return Grade.without_result(answer, "states no result")
        gold_number, given_number = number(gold), number(stated)
        if gold_number is not None and given_number is not None:
            is_right = any(
                abs(value - gold_number) <= _ROUNDING * max(Fraction(1), abs(gold_number))
                for value in _readings(given_number, stated)
            )
            return Grade.of_score(float(is_right), f"states {stated[:100]}")
        try:
            is_equal = WORKER.are_equal(_latex(gold), _latex(stated))
        except LimitExceeded as error:
            return Grade.of_score(0.0, str(error))
        if not is_equal and gold_number is not None and not answer.is_cut:
            named = numbers_in(stated) if _PROSE.search(stated) else []
            is_equal = number(named[-1]) == gold_number if named else is_equal
        if is_equal is None or (gold_number is not None and not re.search(r"\d", stated)):
            return Grade.without_result(answer, "states no expression")
        return Grade.of_score(float(is_equal), f"states {stated[:100]}")


def stated_result(answer: FinalAnswer) -> str | None:
    """Return the result that an answer states last; None if it was cut off before it did."""
    text = answer.ending
    for mark in _MARKS:
        value = mark(text)
        if value:
            return _after_equals(_clean(value))
    announced = [part for part in _announced(text) if re.search(r"[\d\\]", part)]
    if announced:
        return _result_in(announced[-1])
    if answer.is_cut:
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    return _result_in(lines[-1]) if lines else None


def _announced(text: str) -> Iterator[str]:
    for phrase in ANNOUNCED.finditer(text):
        if phrase.group()[-1:].isalpha() and text[phrase.end() : phrase.end() + 1].isalpha():
            continue
        rest = text[phrase.end() :][:_MAX_CHARS_OF_RESULT].lstrip()
        yield _CONTRAST.sub("", _SENTENCE_END.split(rest, maxsplit=1)[0])


def _result_in(line: str) -> str:
    """Return the result in a line of prose.

    It stands after the last equals sign, in bold, between delimiters, or after the last verb.
    """
    whole = _clean(line)
    if number(whole) is not None or not _PROSE.search(whole):
        return _after_equals(whole)
    delimited = ["".join(parts) for parts in _DELIMITED.findall(line)]
    if len(delimited) > 1 and re.search(r"\$\s*(?:,|and|or)\s*\$", line):
        return " , ".join(map(_clean, delimited))
    _, equals, right = whole.rpartition("=")
    for part in (right if equals else "", marked.bold(line) or ""):
        found = leading_number(_clean(part))
        if found is not None:
            return found
    if delimited:
        return _after_equals(_clean(delimited[-1]))
    *before, complement = _VERB.split(_ASIDE.split(_last_sentence(whole))[0])
    complement = _LEADING_WORDS.sub("", complement.strip())
    if not before and numbers_in(complement):
        return numbers_in(complement)[-1]
    return leading_number(complement) or _after_equals(complement)


def _last_sentence(text: str) -> str:
    return [part for part in _SENTENCE_END.split(text) if part.strip()][-1]


def _clean(text: str) -> str:
    """Return an expression without delimiters, units in TeX, and closing punctuation."""
    text = (marked.boxed(text) or text).replace("\\$", "$").replace("\\%", "%")
    text = _MATH_MARKS.sub("", text).replace("\\,", "").replace("\\!", "").replace("{,}", ",")
    text = re.sub(r"(?<=[\d}])\s*\\(?:text|mathrm)\{[^{}]*\}(?:\^\{?\d\}?)?", "", text)
    text = re.sub(r"\\text\{\s*([^{}]*)\}", r"\1", text)
    text = re.sub(r"\b(?:negative|minus)\s+(?=\d)", "-", text, flags=re.IGNORECASE)
    return _APPROXIMATION.sub("", text.strip().rstrip(".;:")).strip()


def _after_equals(text: str) -> str:
    """Return the right-hand side of a calculation; a definition such as "y = 2x" stays whole."""
    left, equals, right = text.rpartition("=")
    if not equals or left[-1:] in "<>!\\:" or not right.strip() or _SEVERAL.search(text):
        return text
    is_calculation = bool(re.search(r"\d", left)) or number(right.strip()) is not None
    return right.strip() if is_calculation else text


def _readings(value: Fraction, text: str) -> tuple[Fraction, ...]:
    """Return the values that a number may have: 50 % is 50 and .5."""
    return (value, value / 100) if is_percent(text) else (value,)


def _latex(text: str) -> str:
    """Return plain notation as LaTeX where math-verify would misread it."""
    text = re.sub("\u221a(\\d+|\\w|\\([^()]*\\))", r"\\sqrt{\1}", text)  # square root sign
    for sign, latex in _SIGNS.items():
        text = text.replace(sign, latex)
    text = re.sub(r"(?<![\\A-Za-z])(pi|infty|theta)(?![A-Za-z])", r"\\\1", text)
    text = re.sub(r"(?<![\\A-Za-z])inf(?:inity)?(?![A-Za-z])", r"\\infty", text)
    text = re.sub(r"(?<=[\d)}])\s+[A-Za-z][A-Za-z ]+\Z", "", text)  # a unit in words
    text = re.sub(r"(?<=\S)\s+(?:mm|cm|dm|km|m|in|ft|yd|kg|mg|g|s|h)(?:\^?[23])?\Z", "", text)
    return text.replace("**", "^")
