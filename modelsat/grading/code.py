"""Grade code by running given tests on it, in a sandbox."""

import ast
from typing import Any

from modelsat.grading.answer_code import defines, find_code
from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion
from modelsat.grading.sandbox import Limits, check_sandbox, run_code

_NUMBERS = {"timeout_s": (1, 600), "memory_mib": (64, 65_536)}  # settings, least and largest value


class CodeGrader:
    """The answer is Python code that passes the tests of the gold answer.

    The gold answer is Python source that raises unless the code before it is right; if it defines
    ``check``, as HumanEval's tests do, ``check(entry_point)`` is called. Settings: ``entry_point``,
    name of the function that is asked for; ``prefix``, source before the answer's (imports, or the
    head of the function that the answer continues); ``solution``, code that must pass;
    ``timeout_s`` (10) and ``memory_mib`` (1024).
    """

    version = 2

    def check(self, question: GradedQuestion) -> None:
        """Check that the tests are Python and the settings are known, and that code can be run.

        Raises:
            ValueError: see :class:`modelsat.grading.grade.Grader`.
            MachineError: the kernel cannot give the sandbox.
        """
        check_sandbox()
        for name, value in question.args.items():
            if name in _NUMBERS:
                low, high = _NUMBERS[name]
                is_whole = isinstance(value, int) and not isinstance(value, bool)
                if not is_whole or not low <= value <= high:
                    raise ValueError(
                        f"{name} is {value!r}; it must be a whole number from {low} to {high}"
                    )
            elif name not in ("entry_point", "prefix", "solution"):
                raise ValueError(
                    f"unknown setting {name!r}; entry_point, prefix, solution, timeout_s, "
                    "memory_mib"
                )
            elif not isinstance(value, str):
                raise ValueError(f"{name} is {value!r}; it must be a text")
        try:
            tests = ast.parse(question.answer)
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"the tests are not Python: {error}") from None
        if not str(question.args.get("entry_point", "f")).isidentifier():
            raise ValueError(f"entry_point {question.args['entry_point']!r} is not a name")
        if not tests.body:
            raise ValueError("the gold answer holds no test")
        if defines(question.answer, "check") and "entry_point" not in question.args:
            raise ValueError("the tests define check, but entry_point is not set")

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return the solution, if there is one."""
        solution: str | None = question.args.get("solution")
        return solution

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Run the tests after the answer's code.

        Raises:
            MachineError: the kernel cannot give the sandbox.
        """
        entry_point = question.args.get("entry_point")
        code = find_code(answer.text, entry_point, str(question.args.get("prefix", "")))
        if code is None:
            return Grade.without_result(answer, "holds no code")
        tests = question.answer
        if entry_point and defines(tests, "check"):
            tests += f"\ncheck({entry_point})"
        source = f"{code}\n\n{tests}"
        settings: dict[str, Any] = {n: v for n, v in question.args.items() if n in _NUMBERS}
        reason = run_code(source, Limits(**settings))
        if reason is None:
            return Grade.of_score(1.0, "passes the tests")
        if answer.is_cut:
            return Grade.without_result(answer, f"ends before it is complete: {reason}")
        return Grade.of_score(0.0, f"fails: {reason}")
