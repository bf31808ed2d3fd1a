"""The question bank of the demo: fifty tasks in five families, and unlimited questions of each."""

from modelsat.demo.bank.generator import (
    BANK_VERSION,
    FAMILIES,
    SPLITS,
    TASKS,
    draw_questions,
    generate_questions,
)
from modelsat.demo.bank.spec import CHOICE_LETTERS, Item, TaskSpec

__all__ = [
    "BANK_VERSION",
    "CHOICE_LETTERS",
    "FAMILIES",
    "SPLITS",
    "TASKS",
    "Item",
    "TaskSpec",
    "draw_questions",
    "generate_questions",
]
