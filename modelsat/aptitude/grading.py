"""An answer's text becomes a grade: correct, incorrect or unparsable."""

import re
from enum import StrEnum

GRADING_VERSION = 2  # raise it whenever any answer would be graded otherwise
MAX_CHOICES = 26


class Grade(StrEnum):
    """What an answer is worth. A failed request has no answer and thus no grade."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    UNPARSABLE = "unparsable"


_OPTION = re.compile(r"^\s*\(?([A-Z])[).:]\s+(.*\S)\s*$", re.MULTILINE)  # "B) seven", "B. seven"
_EMPHASIS = str.maketrans("", "", "*_`$")  # markdown and TeX marks around an answer
# A letter that stands alone at the start: "B", "(B)", "b) 7", "B. seven".
_LEADING_LETTER = re.compile(r"^\s*[(\[]?([A-Za-z])(?:[)\].:,]|\s*$|\s*\n)")
# A lower-case letter counts only where the clause ends after it, so "the answer is a number" names
# none.
_LETTER = r"[(\[]?(?:([A-Z])\b|([a-z])(?=\s*(?:[)\].:,;]|$)))"
# Said to be the answer: "The answer is B", "Option: (C)", "Answer: choice D".
_ANSWER_LETTER = re.compile(
    r"\b(?i:answer\s*(?:is\b)?\s*[:=]?|(?:option|choice)\s*(?:is\b\s*[:=]?|[:=]))\s*"
    r"(?i:(?:option|choice)\s+)?" + _LETTER,
    re.MULTILINE,
)
# Merely named: "I choose option A", but also "Option A is wrong because".
_OPTION_LETTER = re.compile(r"\b(?i:option|choice)\s*" + _LETTER, re.MULTILINE)
# What follows "answer is" or "answer:" is the answer; the words before it are not.
_NAMED_TEXT = re.compile(r"\banswer\s*(?:is\b:?|:)\s*(.*)$", re.IGNORECASE)


def grade_answer(output: str, answer: str, n_choices: int | None, prompt: str = "") -> Grade:
    """Grade one answer.

    Args:
        output: text the candidate produced.
        answer: gold letter for a choice, gold text otherwise.
        n_choices: number of lettered options; None for a short answer.
        prompt: the question with its lettered options; an answer that repeats the text of one of
            them names it as its letter does.

    Returns:
        UNPARSABLE when a choice names none of the offered options or a short answer is empty.
    """
    if n_choices is not None:
        letter = parse_choice(output, n_choices, prompt)
        if letter is None:
            return Grade.UNPARSABLE
        return Grade.CORRECT if letter == answer.strip().upper() else Grade.INCORRECT
    given = normalise_answer(output)
    if not given:
        return Grade.UNPARSABLE
    return Grade.CORRECT if given == normalise_answer(answer) else Grade.INCORRECT


def parse_choice(output: str, n_choices: int, prompt: str = "") -> str | None:
    """The option letter an answer names, upper case; None if it names none of those offered.

    A capital letter alone counts first, then the text of exactly one option, then a letter that
    opens the answer, then the last one said to be the answer, then the last option named at all.
    """
    offered = [chr(ord("A") + i) for i in range(min(n_choices, MAX_CHOICES))]
    if output.strip() in offered:
        return output.strip()
    repeated = _repeated_option(output, prompt, offered)
    return repeated or _named_letter(output, offered)


def _repeated_option(output: str, prompt: str, offered: list[str]) -> str | None:
    given = normalise_answer(output)
    options = [(letter, text) for letter, text in _OPTION.findall(prompt) if letter in offered]
    matching = [letter for letter, text in options if given and normalise_answer(text) == given]
    return matching[0] if len(matching) == 1 else None


def _named_letter(output: str, offered: list[str]) -> str | None:
    text = output.translate(_EMPHASIS)
    leading = _LEADING_LETTER.match(text)
    if leading:
        letter = leading.group(1).upper()
    else:
        named = _ANSWER_LETTER.findall(text) or _OPTION_LETTER.findall(text)
        if not named:
            return None
        letter = "".join(named[-1]).upper()
    return letter if letter in offered else None


def normalise_answer(text: str) -> str:
    """The answer on the first non-empty line, in the one form in which answers are compared.

    Lower case, spaces collapsed, the words up to "answer is", emphasis, quotation marks and
    closing punctuation dropped. A sign or decimal point that belongs to a number stays.
    """
    lines = [line.strip() for line in text.translate(_EMPHASIS).splitlines() if line.strip()]
    if not lines:
        return ""
    named = _NAMED_TEXT.search(lines[0])
    line = named.group(1) if named and named.group(1).strip() else lines[0]
    return " ".join(line.lower().split()).strip("'\"").rstrip(" .!,;:'\"")
