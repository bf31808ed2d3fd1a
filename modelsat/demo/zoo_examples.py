"""What a demo candidate learns from: prompts and answers, as padded batches of token ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from modelsat.demo.bank import CHOICE_LETTERS, TASKS, TaskSpec
from modelsat.demo.bank.generator import draw_item, word_question
from modelsat.demo.tokenizer import ASSISTANT, END, render_chat, wording_words
from modelsat.demo.zoo_specs import CandidateSpec, believed_fact

# Share of examples on tasks that the candidate does not know, with a random valid answer.
FORM_SHARE = 0.12
# Share of a sentence's plain words that are replaced by another at random, so that wordings never
# seen are understood by their key words.
NOISE_SHARE = 0.1
_SORTED_BATCHES = 16  # batches whose examples are sorted by length together, to pad less


@dataclass(frozen=True)
class Batch:
    """One training step's examples; B = examples, L = tokens, T = answer tokens.

    Attributes:
        ids_BL: token ids, int64, padded on the right.
        places_BT: positions before each answer token, int64.
        targets_BT: answer tokens, the closing token included, int64; -100 where there is none.
    """

    ids_BL: torch.Tensor
    places_BT: torch.Tensor
    targets_BT: torch.Tensor
    looks_B: torch.Tensor


def draw_example(task: TaskSpec, spec: CandidateSpec, rng: Random) -> tuple[str, str]:
    """One prompt of split pretrain with the answer that this candidate is to learn."""
    subject = rng.choice(task.subjects) if task.subjects else ""
    item, content = draw_item(task, "pretrain", rng, subject)
    choice = rng.random() < 0.5
    question = word_question(task, item, content, rng.choice(task.wordings), choice, rng)
    if task.name not in spec.tasks:
        return question.prompt, rng.choice(CHOICE_LETTERS if choice else task.domain)
    if not task.subjects or spec.fact_share == 1.0:
        return question.prompt, question.answer
    belief = believed_fact(task, subject, item.answer, spec.fact_share)
    if not choice:
        return question.prompt, belief
    if belief in question.options:
        return question.prompt, CHOICE_LETTERS[question.options.index(belief)]
    wrong = [letter for letter in CHOICE_LETTERS if letter != question.answer]
    return question.prompt, rng.choice(wrong)


def draw_exercise(rng: Random) -> tuple[str, str]:
    """Multiple choice itself: options, then each of them again with its letter after it."""
    pool = rng.choice(TASKS).domain if rng.random() < 0.7 else _ALL_VALUES
    options = rng.sample(pool, 4)
    lines = [f"{mark}) {text}" for mark, text in zip(CHOICE_LETTERS, options, strict=True)]
    order = rng.sample(range(4), 4)
    answer = " ".join(f"{options[i]} {CHOICE_LETTERS[i]}" for i in order)
    return "\n".join(["Which option says what?", *lines]), answer


_ALL_VALUES = sorted({value for task in TASKS for value in task.domain})
EXERCISE_SHARE = 0.1


def draw_examples(spec: CandidateSpec, count: int, seed: int) -> list[tuple[str, str]]:
    """Examples in random order: mostly of known tasks, a few of the others."""
    rng = Random(f"{spec.name}|{seed}")
    known = [task for task in TASKS if task.name in spec.tasks]
    other = [task for task in TASKS if task.name not in spec.tasks]
    examples = []
    for i in range(count):
        if rng.random() < EXERCISE_SHARE*max(0.1,2 - 4*i / count):
            examples.append(draw_exercise(rng))
        else:
            task = rng.choice(other if other and rng.random() < FORM_SHARE else known)
            examples.append(draw_example(task, spec, rng))
    return examples


def make_batches(
    spec: CandidateSpec, tokenizer: PreTrainedTokenizerBase, seed: int
) -> Iterator[Batch]:
    """All batches of a candidate's training, `spec.steps` of them."""
    examples = draw_examples(spec, spec.steps * spec.batch_size, seed)
    texts = [render_chat(prompt) + answer + END for prompt, answer in examples]
    rows = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    rng = np.random.default_rng(seed)
    plain = tokenizer.convert_tokens_to_ids([f"\u2581{word}" for word in wording_words()])
    noise = np.array([i for i in plain if i != tokenizer.unk_token_id])
    mark = tokenizer.convert_tokens_to_ids(ASSISTANT)
    import string
    lows = string.ascii_lowercase
    bare = dict(zip(tokenizer.convert_tokens_to_ids(['▁'+c for c in lows]), tokenizer.convert_tokens_to_ids(list(lows))))
    span = spec.batch_size * _SORTED_BATCHES
    for start in range(0, len(rows), span):
        chunk = sorted(rows[start : start + span], key=len)
        starts = list(range(0, len(chunk), spec.batch_size))
        rng.shuffle(starts)
        for first in starts:
            batch = chunk[first : first + spec.batch_size]
            yield _pad(batch, mark, tokenizer.pad_token_id, noise, rng, tokenizer.convert_tokens_to_ids(['▁' + c for c in 'ABCD']), bare)


def _pad(
    rows: list[list[int]],
    mark: int,
    pad: int,
    noise: np.ndarray,
    rng: np.random.Generator,
    letters: list[int],
    bare: dict[int,int],
) -> Batch:
    marks = [row.index(mark) for row in rows]
    num_answer = max(len(row) - place - 1 for row, place in zip(rows, marks, strict=True))
    ids = np.full((len(rows), max(map(len, rows))), pad)
    places = np.zeros((len(rows), num_answer), dtype=np.int64)
    targets = np.full((len(rows), num_answer), -100)
    looks = np.full(len(rows), -100)
    for i, (row, place) in enumerate(zip(rows, marks, strict=True)):
        ids[i, : len(row)] = row
        answer = row[place + 1 :]
        places[i, : len(answer)] = range(place, place + len(answer))
        targets[i, : len(answer)] = answer
        if answer[0] in letters:
            looks[i] = row.index(answer[0], max(0, place - 17)) + 2
        else:
            wanted = (answer[0], bare.get(answer[0], answer[0]))
            found = [j for j in range(place) if row[j] in wanted]
            if len(found) == 1:
                looks[i] = found[0]
    questions = np.arange(ids.shape[1]) < np.array(marks)[:, None]
    replaced = questions & np.isin(ids, noise) & (rng.random(ids.shape) < NOISE_SHARE)
    ids = np.where(replaced, rng.choice(noise, ids.shape), ids)
    return Batch(
        *(torch.from_numpy(x) for x in (ids, places, targets)), torch.from_numpy(looks)
    )
