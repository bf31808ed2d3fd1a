"""Answers of a vision checkpoint to questions about pictures, by plain transformers."""

from collections import defaultdict
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration

from modelsat.grading.grade import Kind
from modelsat.grading.graders import grade_answer

_BATCH_SIZE = 128


def answer_picture_prompts(directory: Path, prompts: list[str], pngs: list[bytes]) -> list[str]:
    """Greedy answers of a model directory to user messages with one picture each."""
    processor = AutoProcessor.from_pretrained(directory)
    network = LlavaForConditionalGeneration.from_pretrained(directory).eval()
    answers = []
    for start in range(0, len(prompts), _BATCH_SIZE):
        chats = [
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
            for prompt in prompts[start : start + _BATCH_SIZE]
        ]
        texts = [
            processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
            for chat in chats
        ]
        images = [Image.open(BytesIO(png)) for png in pngs[start : start + _BATCH_SIZE]]
        batch = processor(
            images=images, text=texts, add_special_tokens=False, padding=True, return_tensors="pt"
        )
        with torch.inference_mode():
            ids = network.generate(**batch)
        new = ids[:, batch["input_ids"].shape[1] :]
        answers += processor.tokenizer.batch_decode(new, skip_special_tokens=True)
    return answers


def measure_picture_accuracy(
    directory: Path, questions: pa.Table, pictures: dict[str, bytes]
) -> dict[str, float]:
    """Return the share of questions answered right, 0 to 1, of each task.

    Args:
        directory: a Hugging Face model directory.
        questions: table in the questions schema.
        pictures: PNG files by question id.
    """
    rows = questions.to_pylist()
    outputs = answer_picture_prompts(
        directory, [row["prompt"] for row in rows], [pictures[row["question_id"]] for row in rows]
    )
    grades: defaultdict[str, list[bool]] = defaultdict(list)
    for row, output in zip(rows, outputs, strict=True):
        grades[row["task"]].append(grade_answer(row, output).kind is Kind.CORRECT)
    return {name: sum(hits) / len(hits) for name, hits in grades.items()}
