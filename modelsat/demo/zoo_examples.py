"""What a demo candidate learns from: prompts and answers.

A choice is answered with the text of an option, so knowing a task is one skill in both formats.
"""

from random import Random

from modelsat.demo.bank import TASKS, TaskSpec
from modelsat.demo.bank.generator import draw_item, word_question
from modelsat.demo.zoo_specs import CandidateSpec, believed_fact

# Share of examples on tasks that the candidate does not know, with a random valid answer: it
# learns their form, so that its answers there are wrong rather than unparsable.
FORM_SHARE = 0.12
CHOICE_SHARE = 0.5


def draw_example(task: TaskSpec, spec: CandidateSpec, rng: Random) -> tuple[str, str]:
    """One prompt of split pretrain with the answer that this candidate is to learn."""
    subject = rng.choice(task.subjects) if task.subjects else ""
    item, content = draw_item(task, "pretrain", rng, subject)
    is_choice = rng.random() < CHOICE_SHARE
    question = word_question(task, item, content, rng.choice(task.wordings), is_choice, rng)
    answer = item.answer
    if task.name not in spec.tasks:
        answer = rng.choice(question.options if is_choice else task.domain)
    elif task.family == "facts":
        answer = believed_fact(task, subject, item.answer, spec.fact_share)
        if is_choice and answer not in question.options:
            answer = rng.choice([option for option in question.options if option != item.answer])
    return question.prompt, answer


def draw_examples(spec: CandidateSpec, count: int, seed: int) -> list[tuple[str, str]]:
    """Examples in random order: mostly of known tasks, a few of the others."""
    rng = Random(f"{spec.name}|{seed}")
    known = [task for task in TASKS if task.name in spec.tasks]
    other = [task for task in TASKS if task.name not in spec.tasks]
    examples = []
    for _ in range(count):
        pool = other if other and rng.random() < FORM_SHARE else known
        examples.append(draw_example(rng.choice(pool), spec, rng))
    return examples
