"""Grade whether an answer follows instructions that a program can verify."""

from typing import Any

from modelsat.grading.constraints import CONSTRAINTS, LANGUAGES, NEED_OF
from modelsat.grading.final_answer import FinalAnswer
from modelsat.grading.grade import Grade, GradedQuestion


class InstructionsGrader:
    """The answer meets constraints on its length, form and words.

    There is no gold answer. Settings: ``constraints``, a list of objects with ``kind`` (of
    :data:`modelsat.grading.constraints.CONSTRAINTS`) and, as the kind needs them, ``min``, ``max``
    and ``of``; ``partial``, true if the score is the share of constraints that are met.

    Example:
        ``{"constraints": [{"kind": "words", "max": 50}, {"kind": "keyword", "of": "rain"}]}``
    """

    version = 2

    def check(self, question: GradedQuestion) -> None:
        """Check that every constraint is known and complete."""
        unknown = question.args.keys() - {"constraints", "partial"}
        if unknown:
            raise ValueError(f"unknown setting {min(unknown)!r}; constraints and partial")
        constraints = question.args.get("constraints")
        if not isinstance(constraints, list) or not constraints:
            raise ValueError("constraints must be a list of at least one object")
        for constraint in constraints:
            _check_constraint(constraint)

    def own_answer(self, question: GradedQuestion) -> str | None:
        """Return None: many answers follow the same instructions."""
        return None

    def grade(self, question: GradedQuestion, answer: FinalAnswer) -> Grade:
        """Verify each constraint on the final answer."""
        if not answer.text:
            return Grade.without_result(answer, "says nothing")
        constraints = question.args["constraints"]
        missed = [c["kind"] for c in constraints if not CONSTRAINTS[c["kind"]](answer.text, c)]
        if missed and answer.is_cut:
            return Grade.without_result(answer, f"ends before it meets {', '.join(missed)}")
        share = 1 - len(missed) / len(constraints)
        score = share if question.args.get("partial") else float(not missed)
        return Grade.of_score(score, f"misses {', '.join(missed)}" if missed else "meets all")


def _check_constraint(constraint: Any) -> None:
    if not isinstance(constraint, dict) or constraint.get("kind") not in CONSTRAINTS:
        raise ValueError(f"{constraint!r} has no known kind; there are {', '.join(CONSTRAINTS)}")
    kind = constraint["kind"]
    for name in ("min", "max"):
        value = constraint.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{kind}: {name} is {value!r}; it must be a whole number")
    if "min" in constraint and constraint["min"] > constraint.get("max", constraint["min"]):
        raise ValueError(f"{kind}: min {constraint['min']} is above max {constraint['max']}")
    unknown = constraint.keys() - {"kind", "min", "max", "of"}
    if unknown:
        raise ValueError(f"{kind}: unknown setting {min(unknown)!r}; min, max, of")
    if (kind in NEED_OF) != bool(constraint.get("of")):
        needs = "needs `of`" if kind in NEED_OF else "takes no `of`"
        raise ValueError(f"{kind} {needs}")
    if kind == "language" and constraint["of"] not in LANGUAGES:
        raise ValueError(
            f"language {constraint['of']!r} cannot be verified; there are {', '.join(LANGUAGES)}"
        )
