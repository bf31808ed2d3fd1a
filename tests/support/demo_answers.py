"""Accuracy of a checkpoint on bank questions, by greedy decoding with plain transformers."""

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from modelsat.grading.grade import Kind
from modelsat.grading.graders import grade_answer

_BATCH_SIZE = 256


def answer_prompts(directory: Path, prompts: list[str]) -> list[str]:
    """Greedy answers of a model directory to single user messages."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    network = AutoModelForCausalLM.from_pretrained(directory).eval()
    answers = []
    for start in range(0, len(prompts), _BATCH_SIZE):
        chats = [[{"role": "user", "content": p}] for p in prompts[start : start + _BATCH_SIZE]]
        batch = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            ids = network.generate(**batch)
        new = ids[:, batch["input_ids"].shape[1] :]
        answers += tokenizer.batch_decode(new, skip_special_tokens=True)
    return answers


def measure_accuracy(
    directory: Path, questions: pa.Table, by: str = "category"
) -> dict[str, float]:
    """Share of questions answered right, per family (or per value of another column).

    Args:
        directory: a Hugging Face model directory.
        questions: table in the questions schema.
        by: column that groups the questions.

    Returns:
        Accuracy in 0..1 for each group in order of appearance.
    """
    rows = questions.to_pylist()
    outputs = answer_prompts(directory, [row["prompt"] for row in rows])
    grades: defaultdict[str, list[bool]] = defaultdict(list)
    for row, output in zip(rows, outputs, strict=True):
        grades[row[by]].append(grade_answer(row, output).kind is Kind.CORRECT)
    return {name: sum(hits) / len(hits) for name, hits in grades.items()}
