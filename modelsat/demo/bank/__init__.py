"""The question bank of the demo: fifty tasks in five families, and unlimited questions of each."""

from modelsat.demo.bank.generator import FAMILIES, SPLITS, TASKS, generate_questions
from modelsat.demo.bank.spec import CHOICE_LETTERS, TaskSpec

__all__ = ["CHOICE_LETTERS", "FAMILIES", "SPLITS", "TASKS", "TaskSpec", "generate_questions"]
