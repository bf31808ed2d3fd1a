"""Grade a number or a mathematical expression."""

import math
import re
from fractions import Fraction

from modelsat.grading.bounded_work import WORKER, LimitExceeded
from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion
from modelsat.grading.plain_math import NO_SOLUTION, clean, latex
from modelsat.grading.plain_numbers import is_percent, number, numbers_in
from modelsat.grading.worked_solutions import PROSE, right_side, stated_result

_FACTORIAL = re.compile(r"(\d{1,3})!")
_WORDS = re.compile(r"[A-Za-z]{2,}(?:\s+[A-Za-z]{2,})+")
_DEFINITION = re.compile(r"[A-Za-z]'?(?:\([a-z]\))?\s*=[^=,]+")  # "z = 3 + 4i"
_ROUNDING = Fraction(1, 10**6)  # relative; as math-verify rounds


class NumberGrader:
    """The answer is a number, within a tolerance.

    Settings: ``tolerance`` (absolute) and ``relative_tolerance``, both 0 by default.
    """

    version = 3

    def check(self, question: GradedQuestion) -> None:
        """Check that the gold answer is a number and the tolerances are not negative."""
        if number(clean(question.answer)) is None:
            raise ValueError(f"the gold answer {question.answer!r} is not a number")
        for name, value in question.args.items():
            if name not in ("tolerance", "relative_tolerance"):
                raise ValueError(f"unknown setting {name!r}; tolerance or relative_tolerance")
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value!r}; it must be a finite number of at least 0")

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return the gold answer."""
        return question.answer

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Compare the last stated number with the gold answer."""
        gold = clean(question.answer)
        stated, given = stated_number(answer)
        if given is None:
            return Grade.without_result(answer, "states no number")
        is_right = any(
            abs(value - wanted)
            <= max(
                Fraction(question.args.get("tolerance", 0)),
                Fraction(question.args.get("relative_tolerance", 0)) * abs(wanted),
            )
            for wanted, value in _readings(gold, stated)
        )
        return Grade.of_score(float(is_right), f"states {stated}")


def stated_number(answer: FinalAnswer) -> tuple[str, Fraction | None]:
    """Return the result that an answer states, and its number; None if it states no number."""
    stated = right_side(stated_result(answer) or "")
    if number(stated) is None and not answer.is_cut:
        *_, stated = "", *numbers_in(stated)
    return stated, number(stated)


class MathGrader:
    """The answer is an expression that equals the gold answer: math-verify decides."""

    version = 3

    def check(self, question: GradedQuestion) -> None:
        """Check that the gold answer is an expression."""
        if question.args:
            raise ValueError(f"unknown setting {next(iter(question.args))!r}; math has none")
        gold = clean(question.answer)
        if _WORDS.fullmatch(gold) and number(gold) is None and not NO_SOLUTION.fullmatch(gold):
            raise ValueError(f"the gold answer {question.answer!r} is prose; use the grader text")
        if number(gold) is None:
            try:
                WORKER.are_equal(latex(gold), "0")
            except (ValueError, LimitExceeded) as error:
                raise ValueError(f"the gold answer {question.answer!r}: {error}") from None

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return the gold answer."""
        return question.answer

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Compare the last stated result with the gold answer."""
        gold, whole = clean(question.answer), stated_result(answer)
        if not whole:
            return Grade.without_result(answer, "states no result")
        stated = right_side(whole)
        reason = f"states {stated[:100]}"
        readings = _readings(gold, stated)
        if readings:
            is_right = any(_are_close(*pair) for pair in readings)
            return Grade.of_score(float(is_right), reason)
        try:
            is_equal = WORKER.are_equal(latex(gold), latex(stated))
            if not is_equal and "=" in gold and stated != whole:
                is_equal = WORKER.are_equal(latex(gold), latex(whole))
            if not is_equal and "=" not in gold and _DEFINITION.fullmatch(stated):
                is_equal = WORKER.are_equal(latex(gold), latex(stated.partition("=")[2]))
        except LimitExceeded as error:
            return Grade.of_score(0.0, str(error))
        if number(gold) is not None and not is_equal:
            named = numbers_in(stated) if PROSE.search(stated) and not answer.is_cut else []
            is_equal = bool(named) and number(named[-1]) == number(gold)
            if not re.search(r"[\d\\]", stated):
                is_equal = None
        if is_equal is None:
            return Grade.without_result(answer, "states no expression")
        return Grade.of_score(float(is_equal), reason)


def _are_close(gold: Fraction, value: Fraction) -> bool:
    return abs(value - gold) <= _ROUNDING * max(Fraction(1), abs(gold))


def _readings(gold: str, given: str) -> list[tuple[Fraction, Fraction]]:
    """Return the pairs of values that two numbers may have; none if one is not a number.

    50 % is .5 beside a number without a percent sign. "5!" is 120, but a model may shout "5".
    """
    wanted, values = _values(gold)[:1], _values(given)
    if not wanted or not values:
        return []
    if is_percent(gold) != is_percent(given):
        percents = wanted if is_percent(gold) else values
        percents += [value / 100 for value in percents]
    return [(gold_value, value) for gold_value in wanted for value in values]


def _values(text: str) -> list[Fraction]:
    value = number(text)
    factorial = _FACTORIAL.fullmatch(text)
    if factorial:
        return [Fraction(math.factorial(int(factorial[1]))), Fraction(int(factorial[1]))]
    return [] if value is None else [value]
