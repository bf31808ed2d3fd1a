"""Grade the text of an answer: correct, incorrect or unparsable."""

import re
from enum import StrEnum

GRADING_VERSION = 2  # increase it whenever any answer would get a different grade
MAX_CHOICES = 26


class Grade(StrEnum):
    """The grade of an answer. A failed request has no answer and thus no grade."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    UNPARSABLE = "unparsable"


_OPTION = re.compile(r"^\s*\(?([A-Z])[).:]\s+(.*\S)\s*$", re.MULTILINE)  # "B) seven", "B. seven"
_EMPHASIS = str.maketrans("", "", "*_`$")  # markdown and TeX marks around an answer
# A separate letter at the start: "B", "(B)", "b) 7", "B. seven".
_LEADING_LETTER = re.compile(r"^\s*[(\[]?([A-Za-z])(?:[)\].:,]|\s*$|\s*\n)")
# A lower-case letter counts only at the end of a clause, so that "the answer is a number" does not
# match.
_LETTER = r"[(\[]?(?:([A-Z])\b|([a-z])(?=\s*(?:[)\].:,;]|$)))"
# A letter stated as the answer: "The answer is B", "Option: (C)", "Answer: choice D".
_ANSWER_LETTER = re.compile(
    r"\b(?i:answer\s*(?:is\b)?\s*[:=]?|(?:option|choice)\s*(?:is\b\s*[:=]?|[:=]))\s*"
    r"(?i:(?:option|choice)\s+)?" + _LETTER,
    re.MULTILINE,
)
# A letter that is only mentioned: "I choose option A", but also "Option A is wrong because".
_OPTION_LETTER = re.compile(r"\b(?i:option|choice)\s*" + _LETTER, re.MULTILINE)
# The text after "answer is" or "answer:" is the answer; the words before it are dropped.
_NAMED_TEXT = re.compile(r"\banswer\s*(?:is\b:?|:)\s*(.*)$", re.IGNORECASE)


def grade_answer(output: str, answer: str, n_choices: int | None, prompt: str = "") -> Grade:
    """Grade an answer.

    Args:
        output: text that the candidate generated.
        answer: gold letter of a multiple-choice question, gold text otherwise.
        n_choices: number of lettered options; None for a short answer.
        prompt: the question with its lettered options; an answer may repeat an option's text in
            place of its letter.

    Returns:
        UNPARSABLE if the output matches none of the options, or a short answer is empty.
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
    """Return the upper-case option letter that an answer chooses, or None.

    The first match counts: the output is a single capital letter; it is the text of exactly one
    option; it begins with a letter; the last letter stated as the answer; the last option that
    is mentioned.
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
    """Normalise the first non-empty line of an answer for comparison.

    Lower-cases, collapses spaces, and removes the words up to "answer is", emphasis, quotation
    marks and closing punctuation. Keeps signs and decimal points of numbers.
    """
    lines = [line.strip() for line in text.translate(_EMPHASIS).splitlines() if line.strip()]
    if not lines:
        return ""
    named = _NAMED_TEXT.search(lines[0])
    line = named.group(1) if named and named.group(1).strip() else lines[0]
    return " ".join(line.lower().split()).strip("'\"").rstrip(" .!,;:'\"")
