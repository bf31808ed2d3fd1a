"""The general test: fifty tasks whose questions are generated, in numbered forms."""

from modelsat.aptitude.general.form import DOMAINS, TASKS, generate_form, select_tasks

__all__ = ["DOMAINS", "TASKS", "generate_form", "select_tasks"]
