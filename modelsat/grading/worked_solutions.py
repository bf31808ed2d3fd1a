r"""The result that a worked solution states.

It is what the solution marks (a box, a tag, a line after ``####``), else what it announces ("the
answer is"), else what stands after the last equals sign of its last line. A correction after it
takes its place. Lines that check the result are not read.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from operator import add, mul, sub, truediv

from modelsat.grading import marked
from modelsat.grading.answer_phrases import ANNOUNCED, BECAUSE, CONCLUDED, CORRECTED
from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.normal_text import OTHER_SCRIPTS, plain_signs
from modelsat.grading.options import is_denied
from modelsat.grading.plain_math import clean
from modelsat.grading.plain_numbers import is_percent, leading_number, number, number_places

_MARKS = (marked.boxed, marked.tagged, marked.after_hashes, marked.json_result)
# "5! = 120" goes on.
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?:\s(?!=)|\Z)|[\u3002\uff01\uff1f\u0964]|\n")
# Not dollars: "$2 = $18".
_DELIMITED = re.compile(
    r"(?<![\\\w*])\$(?!\s)([^$\n]+?)(?<![\s(])\$(?!\s*[\d(])|\\\((.+?)\\\)|\\\[(.+?)\\\]"
)
# Words, other than those that belong to an expression.
PROSE = re.compile(
    r"(?<![\\A-Za-z{])(?!(?:and|sin|cos|tan|log|exp|sqrt|inf|max|min|mod|infinity|theta|pi)\b)"
    rf"[A-Za-z]{{2,}}(?<!\bor)(?<!\bln)(?<!\bin)|[{OTHER_SCRIPTS}]"
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|equals?|be|gives?|gets?|got|have|has|obtain|leaving|leaves|makes?|making|earn(?:s|ed|ing)?|pa(?:id|ys?)|costs?|spends?|spent|takes?|took|giving|totall?ing)\b|:\s"
)
_MAX_CHARS_OF_RESULT = 500
_MAX_STATEMENTS = 50  # that are read, from the last
_CONTRAST = re.compile(r"\Anot\s+[^.]*?\bbut\s+")  # "not 42 but 24"
_ASIDE = re.compile(r",\s*(?=not\b)|\s+\((?=[\d.,]*\s*[A-Za-z])")
# "30 minutes (10 + 20)": at most 20 terms, so that its evaluation is short.
_BREAKDOWN = re.compile(r"(?<=\S)\s+\(\s*=?\s*(\d[\d.]*(?:\s*[-+\u00d7*/]\s*\d[\d.]*){1,20})\s*\)")
_OPERATIONS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: add,
    ast.Sub: sub,
    ast.Mult: mul,
    ast.Div: truediv,
}
_SHARE = re.compile(r"(?<!\s)\s+out of [\d.,]*\d|(?<=\d)\s+of the [\d.,]*\d")  # "36 out of 40"
_TUPLE = re.compile(r"(?:[(\[]|\\\{)[^=]*,[^=]*")
_LISTED = re.compile(r"(?:\n+[ \t]*(?:[-*\u2022]|\d{1,2}[.)])[ \t]+[^\n]*)+\s*\Z")
_LEADING_WORDS = re.compile(r"\A(?:[A-Za-z]{2,}\s+)+(?=[^A-Za-z\s])")
_SEVERAL = re.compile(r",|\b(?:and|or)\b")
_RESTATED = re.compile(r"\A([^,()]{1,60}?),? or ([^,()]{1,60})\Z")  # "90 minutes, or 1.5 hours"
_ADJECTIVE = re.compile(r"\s+(?:wrong|false|incorrect|impossible|unlikely|too|out)\b")
_CHECK = re.compile(
    r"(?:^|(?<=[.!?]\s))[ \t(*_]*(?:to |let me |let['\u2019]s )?(?:double[- ])?"
    r"(?:(?:check(?:ing)?|verify(?:ing)?|verified|verification)\b"
    r"|(?:substitut|plugg?)\w*\b[^\n]{0,80}?\b(?:match(?:es)?|holds?|checks out|works)\b)"
    r"[^\n]*?(?:[.!?](?=\s|\Z)|$)",
    re.IGNORECASE | re.MULTILINE,
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_ECHO = re.compile(r"\AA:\s+")  # of a prompt "Q: ... A:"
_ALIGNED = re.compile(r"\\(?:begin|end)\{(?:align|aligned|equation|gather|gathered|split)\*?\}")
_HAS_DIGIT = re.compile(r"\d")
_HAS_RESULT = re.compile(r"[\d\\]")
_UNIT = re.compile(r"[A-Za-z]+(?=\W*\Z)")
_RIGHT = re.compile(r"(?:correct|right|actual|true)\s+\Z", re.IGNORECASE)
_CLAUSE_START = re.compile(r"[.,;:!?\n\u2014\u2013-][\s*_]*\Z")
_STOP = re.compile(r"\A(?:[.!](?=\s))?\s*")  # after "Wait, no."
_NUMBER_NEXT = re.compile(r"[.!]?\s*[$\\(*]*-?[\d.\\]")


def stated_result(answer: FinalAnswer) -> str | None:
    """Return the result that an answer states last, with the left-hand side of an equation.

    Returns:
        None if the answer was cut off before it stated one; empty if it denies what it names.
    """
    text = plain_signs(answer.ending)
    for mark in _MARKS:
        value = mark(text)
        if value:
            _, _, later = text.rpartition(value)
            return _last_result(_announced(later, only_corrections=True)) or clean(value)
    text = _ECHO.sub("", _without_list(_without_checks(_FENCE.sub("", _in_lines(text)))).strip())
    announced = [part for part in _announced(text) if _HAS_RESULT.search(part)]
    if announced:
        return _last_result(announced)
    if answer.is_cut:
        return None
    lines = [line for line in text.splitlines() if re.search(r"[\w{\u2205]", line)]
    return _result_in(lines[-1], False) if lines else None


def right_side(text: str) -> str:
    """Return the right-hand side of a calculation; a definition such as "y = 2x" stays whole."""
    left, equals, right = text.rpartition("=")
    if not equals or left[-1:] in "<>!\\:" or not right.strip() or _SEVERAL.search(text):
        return text
    if number(left.strip()) is not None and number(right.strip()) is None:
        return left.strip()  # "30 = 10 + 20"
    is_calculation = bool(_HAS_DIGIT.search(left)) or number(right.strip()) is not None
    return right.strip() if is_calculation else text


def _in_lines(text: str) -> str:
    """Return a text with the rows of aligned equations as lines."""
    if not _ALIGNED.search(text) or "matrix" in text:
        return text
    return _ALIGNED.sub("\n", text).replace("\\\\", "\n").replace("&", "")


def _without_checks(text: str) -> str:
    rest = _CHECK.sub("", text)
    return rest if _HAS_DIGIT.search(rest) else text


def _without_list(text: str) -> str:
    """Return a text without the list behind a first line that is a number: its breakdown."""
    head = _LISTED.sub("", text)
    return head if number(clean(head)) is not None else text


def _announced(text: str, only_corrections: bool = False) -> Iterator[str]:
    """Yield what follows each announcement or correction, up to the end of its sentence."""
    phrases = [
        phrase
        for phrase in ANNOUNCED.finditer(text)
        if not only_corrections or _RIGHT.search(text, max(0, phrase.start() - 20), phrase.start())
    ]
    if phrases or only_corrections:  # "actually" corrects no step before the result
        phrases += [
            phrase
            for phrase in CORRECTED.finditer(text)
            if _CLAUSE_START.search(text, max(0, phrase.start() - 20), phrase.start())
            and _NUMBER_NEXT.match(text, phrase.end())
        ]
    for phrase in sorted(phrases, key=lambda phrase: phrase.end()):
        if phrase.group()[-1:].isalpha() and text[phrase.end() : phrase.end() + 1].isalpha():
            continue
        rest = _STOP.sub("", text[phrase.end() :][:_MAX_CHARS_OF_RESULT])
        yield _CONTRAST.sub("", _SENTENCE_END.split(rest, maxsplit=1)[0])


def _last_result(statements: Iterable[str]) -> str:
    for part in reversed([*statements][-_MAX_STATEMENTS:]):
        if result := _result_in(part, True):
            return result
    return ""


def _result_in(line: str, is_announced: bool) -> str:
    """Return the result in a line of prose.

    It stands after the last equals sign, in bold, between delimiters, or after the last verb.
    """
    line = _without_breakdown(line)
    whole = _first_form(clean(line))
    if number(whole) is not None:
        return whole if _named_numbers(whole) or not number_places(whole) else ""
    if not PROSE.search(whole):
        return whole
    line = _conclusion(_SHARE.sub("", line))
    whole = clean(line)
    delimited = ["".join(parts) for parts in _DELIMITED.findall(line)]
    if len(delimited) > 1 and re.search(r"\$\s*(?:,|and|or)\s*\$", line):
        return " , ".join(map(clean, delimited))
    if delimited and _TUPLE.fullmatch(clean(delimited[-1])) and "=" not in line.split("$")[-1]:
        return clean(delimited[-1])
    _, equals, right = whole.rpartition("=")
    for part in (right if equals else "", marked.bold(line) or ""):
        found = leading_number(clean(part))
        if found is not None:
            return found
    if delimited:
        return clean(delimited[-1])
    is_side = bool(equals) and _HAS_RESULT.search(right) and not PROSE.search(right)
    return right.strip() if is_side else _after_verb(whole, is_announced)


def _without_breakdown(line: str) -> str:
    """Return a line without a calculation in brackets whose result is the number before it."""
    found = _BREAKDOWN.search(line)
    before = number_places(line[: found.start()]) if found else []
    if not found or not before:
        return line
    worth = _worth(found[1].replace("\u00d7", "*"))
    is_same = worth is not None and worth == number(before[-1].group())
    return line[: found.start()] + line[found.end() :] if is_same else line


def _worth(calculation: str) -> Fraction | None:
    """Return the value of sums, differences, products and quotients of plain numbers."""

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            return _OPERATIONS[type(node.op)](value(node.left), value(node.right))
        return Fraction(ast.unparse(node))

    try:
        return value(ast.parse(calculation, mode="eval").body)
    except (SyntaxError, ValueError, KeyError, ZeroDivisionError):
        return None


def _conclusion(line: str) -> str:
    """Return a line without its reasons; its last sentence if that is "So" and a number."""
    head = BECAUSE.split(line, maxsplit=1)[0]
    line = head if _HAS_RESULT.search(head) else line
    last = _last_sentence(line).lstrip(" *_")
    conclusion = CONCLUDED.match(last)
    stated = clean(last[conclusion.end() :]) if conclusion else ""
    return last if number(stated) is not None and len(stated.split()) <= 2 else line


def _last_sentence(text: str) -> str:
    sentences = [part for part in _SENTENCE_END.split(text) if part.strip()]
    return sentences[-1] if sentences else text


def _after_verb(text: str, is_announced: bool) -> str:
    sentence = _ASIDE.split(_last_sentence(text))[0]
    *before, complement = _VERB.split(sentence)
    complement = _first_form(_LEADING_WORDS.sub("", complement.strip()))
    numbers = _named_numbers(sentence)
    if not numbers and _HAS_DIGIT.search(sentence):
        return ""
    first = leading_number(complement)
    if not before and numbers:
        return first if first and is_announced else numbers[-1]
    if numbers and not _HAS_RESULT.search(complement):
        return numbers[-1]  # "so 36 is the answer"
    return first or complement


def _named_numbers(text: str) -> list[str]:
    """Return the numbers in a text that it does not deny."""
    return [
        place.group()
        for place in number_places(text)
        if not is_denied(text, *place.span()) or _ADJECTIVE.match(text, place.end())
    ]


def _first_form(text: str) -> str:
    """Return the first of two forms of one number: "90 minutes, or 1.5 hours"."""
    forms = _RESTATED.match(text)
    if not forms:
        return text
    first, second = map(number, forms.groups())
    if first is None or second is None:
        return text
    percents = [100 if is_percent(form) else 1 for form in forms.groups()]
    units = [unit.group() for form in forms.groups() if (unit := _UNIT.search(form))]
    is_same = first * percents[1] == second * percents[0] or len({*units}) == 2
    return forms[1] if is_same else text
