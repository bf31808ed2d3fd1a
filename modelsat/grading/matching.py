"""Grade whether an answer contains given texts, or matches a regular expression."""

import unicodedata

import regex

from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion
from modelsat.grading.text import references

_MATCH_TIMEOUT_S = 2.0  # of one expression; some backtrack without end


class ContainsGrader:
    """The answer contains the gold text, or the texts of a JSON list.

    Settings: ``require``, ``all`` (default) or ``any`` of the texts; ``case_sensitive``, false by
    default.
    """

    version = 1

    def check(self, question: GradedQuestion) -> None:
        """Check that there is a text, and the settings are known."""
        if not references(question.answer):
            raise ValueError("the gold answer is empty")
        allowed = {"require": ("all", "any"), "case_sensitive": (True, False)}
        for name, value in question.args.items():
            if name not in allowed or value not in allowed[name]:
                raise ValueError(
                    f"{name} is {value!r}; settings are require (all, any) and case_sensitive "
                    "(true, false)"
                )

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return all texts."""
        return " ".join(references(question.answer))

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Look for each text, whatever surrounds it."""
        is_sensitive = question.args.get("case_sensitive", False)

        def folded(text: str) -> str:
            text = " ".join(unicodedata.normalize("NFKC", text).split())
            return text if is_sensitive else text.casefold()

        said = folded(answer.text)
        missing = [text for text in references(question.answer) if folded(text) not in said]
        num_wanted = len(references(question.answer))
        if question.args.get("require") == "any":
            is_right = len(missing) < num_wanted
        else:
            is_right = not missing
        if is_right:
            return Grade.of_score(1.0, "contains the gold text")
        if answer.is_cut:
            return Grade.without_result(answer, "ends before it contains the gold text")
        return Grade.of_score(0.0, f"lacks {len(missing)} of {num_wanted} texts")


class RegexGrader:
    """The gold answer is a regular expression that occurs in the answer.

    Settings: ``full``, true if it must match the whole answer; false by default. The expression
    has the syntax of the ``regex`` package, which includes that of Python.
    """

    version = 1

    def check(self, question: GradedQuestion) -> None:
        """Check that there is an expression, and that it compiles."""
        if not question.answer:
            raise ValueError("the gold answer is empty; give an expression")
        try:
            regex.compile(question.answer)
        except regex.error as error:
            raise ValueError(f"the gold answer {question.answer!r}: {error}") from None
        for name, value in question.args.items():
            if name != "full" or not isinstance(value, bool):
                raise ValueError(f"{name} is {value!r}; the only setting is full, true or false")

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return None: an expression does not match itself."""
        return None

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Search the answer."""
        match = regex.fullmatch if question.args.get("full") else regex.search
        try:
            found = match(question.answer, answer.text, timeout=_MATCH_TIMEOUT_S)
        except TimeoutError:
            return Grade.of_score(0.0, f"matching took more than {_MATCH_TIMEOUT_S:g} s")
        if found:
            return Grade.of_score(1.0, "matches")
        if answer.is_cut:
            return Grade.without_result(answer, "ends before it matches")
        return Grade.of_score(0.0, "does not match")
