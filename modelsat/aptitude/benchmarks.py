"""Converters from the rows of published benchmarks to questions.

Where a benchmark does not word the choice itself (WinoGrande, BoolQ, MRPC, MNLI), the wording is
ours; this file contains no benchmark text. Columns follow the dataset cards on the Hugging Face
hub.
"""

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from string import ascii_uppercase
from typing import Any

Row = Mapping[str, Any]


class UnusableRow(ValueError):
    """A row cannot be converted; the message names the column and what is allowed."""


@dataclass(frozen=True)
class MultipleChoiceQuestion:
    """A multiple-choice question before its prompt is formatted.

    Attributes:
        task: its task.
        stem: the question without its options.
        options: option texts in the order of their letters.
        answer_index: index of the correct option.
        key: unique key within the benchmark; None numbers the question within its task.
        category: a coarser grouping than the task, if the benchmark has it.
        images: its images as the dataset has them, for :meth:`.images.ImageWriter.store`.
    """

    task: str
    stem: str
    options: tuple[str, ...]
    answer_index: int
    key: str | None = None
    category: str | None = None
    images: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Benchmark:
    """A benchmark and the location of its questions.

    Attributes:
        name: value of the questions' column ``benchmark``.
        hub_id: its dataset on the Hugging Face hub; empty if it is only published as a file.
        split: default split, with published answers.
        folder: folder of its files in the dataset; empty for the root.
        convert: converts a row, given the split and the stem of the row's file name; None for a
            question without options.
        headerless_columns: columns of its CSV files if these have no header line.
    """

    name: str
    hub_id: str
    split: str
    folder: str
    convert: Callable[[Row, str, str], MultipleChoiceQuestion | None]
    headerless_columns: tuple[str, ...] = ()

    def patterns(self, split: str) -> tuple[str, ...]:
        """Return glob patterns for the files of a split, the most likely first."""
        suffixes = ("-*.parquet", ".parquet", ".csv", ".tsv", ".jsonl")
        at_root = tuple(f"{split}{suffix}" for suffix in suffixes)
        in_folder = tuple(f"{self.folder}/{name}" for name in at_root) if self.folder else ()
        # The original MMLU archive: one file per subject in a folder of the split.
        by_task = (f"{split}/*_{split}.csv", f"*_{split}.csv") if self.headerless_columns else ()
        return (*in_folder, *at_root, *by_task)


def _mmlu(row: Row, split: str, file: str) -> MultipleChoiceQuestion:
    options = _texts(row["choices"]) if row.get("choices") is not None else None
    subject = row.get("subject") or file.removesuffix(f"_{split}")
    return MultipleChoiceQuestion(
        task=_text({"subject": subject}, "subject"),
        stem=_text(row, "question"),
        options=options or _texts([row[letter] for letter in "ABCD"]),
        answer_index=_position(row, "answer", "ABCD", "0123"),
    )


def _mmlu_pro(row: Row, _split: str, _file: str) -> MultipleChoiceQuestion:
    options = _texts(row["options"])
    letters = ascii_uppercase[: len(options)]
    question_id = row.get("question_id")
    return MultipleChoiceQuestion(
        task=_text(row, "src") if row.get("src") else _text(row, "category"),
        stem=_text(row, "question"),
        options=options,
        answer_index=_position(row, "answer", letters),
        key=None if question_id in (None, "") else str(question_id),
        category=_text(row, "category"),
    )


def _winogrande(row: Row, _split: str, _file: str) -> MultipleChoiceQuestion:
    return MultipleChoiceQuestion(
        task="winogrande",
        stem=f"{_text(row, 'sentence')}\nWhich option belongs in the place of the blank?",
        options=(_text(row, "option1"), _text(row, "option2")),
        answer_index=_position(row, "answer", "12"),
        key=row.get("qID") or None,
    )


def _arc_challenge(row: Row, _split: str, _file: str) -> MultipleChoiceQuestion:
    choices = _parsed(row["choices"])
    if not isinstance(choices, Mapping):
        raise UnusableRow("column 'choices' must be a mapping with text and label")
    labels = [str(label) for label in choices["label"]]
    return MultipleChoiceQuestion(
        task="arc_challenge",
        stem=_text(row, "question"),
        options=_texts(choices["text"]),
        answer_index=_position(row, "answerKey", labels),
        key=_text(row, "id"),
    )


def _boolq(row: Row, _split: str, _file: str) -> MultipleChoiceQuestion:
    question = _text(row, "question").rstrip("?")
    question = question[:1].upper() + question[1:]
    return MultipleChoiceQuestion(
        task="boolq",
        stem=f"{_text(row, 'passage')}\n\n{question}?",
        options=("Yes", "No"),
        answer_index=_position(row, "answer", ("True", "False"), ("true", "false")),
    )


def _truthfulqa(row: Row, _split: str, _file: str) -> MultipleChoiceQuestion:
    stem = _text(row, "question")
    targets = _parsed(row["mc1_targets"])
    if not isinstance(targets, Mapping):
        raise UnusableRow("column 'mc1_targets' must be a mapping with choices and labels")
    options, labels = _texts(targets["choices"]), [str(label) for label in targets["labels"]]
    if sorted(labels) != ["0"] * (len(options) - 1) + ["1"]:
        raise UnusableRow("column 'mc1_targets' must label one choice 1 and every other choice 0")
    # The correct choice comes first in every row; sorting by a hash of the texts shuffles them.
    order = sorted(
        range(len(options)), key=lambda i: sha256(f"{stem}/{options[i]}".encode()).hexdigest()
    )
    return MultipleChoiceQuestion(
        task="truthfulqa",
        stem=stem,
        options=tuple(options[i] for i in order),
        answer_index=order.index(labels.index("1")),
    )


def _mrpc(row: Row, split: str, _file: str) -> MultipleChoiceQuestion:
    return MultipleChoiceQuestion(
        task="mrpc",
        stem=(
            f"Sentence 1: {_text(row, 'sentence1')}\nSentence 2: {_text(row, 'sentence2')}\n"
            "Do the two sentences say the same?"
        ),
        options=("No", "Yes"),
        answer_index=_position(row, "label", "01"),
        key=_row_key(row, split),
    )


def _mnli(row: Row, split: str, _file: str) -> MultipleChoiceQuestion:
    return MultipleChoiceQuestion(
        task="mnli",
        stem=(
            f"Premise: {_text(row, 'premise')}\nHypothesis: {_text(row, 'hypothesis')}\n"
            "What does the premise say of the hypothesis?"
        ),
        options=("It is true", "Nothing for certain", "It is false"),
        answer_index=_position(row, "label", "012"),
        key=_row_key(row, split),
    )


def _mmmu(row: Row, split: str, _file: str) -> MultipleChoiceQuestion | None:
    """A question of MMMU; some are open, and an option may be an image (``<image 2>``)."""
    if row.get("question_type") == "open":
        return None
    options = _texts(_literal(row["options"]))
    key = _text(row, "id")  # validation_Accounting_12
    images = [row.get(f"image_{i}") for i in range(1, 8)]
    while images and images[-1] is None:
        images.pop()
    if None in images:
        raise UnusableRow(f"column 'image_{images.index(None) + 1}' is empty, a later one is not")
    return MultipleChoiceQuestion(
        task=key.removeprefix(f"{split}_").rpartition("_")[0].lower(),
        stem=_text(row, "question"),
        options=options,
        answer_index=_position(row, "answer", ascii_uppercase[: len(options)]),
        key=key,
        category=row.get("subfield") or None,
        images=tuple(images),
    )


def _ai2d(row: Row, _split: str, _file: str) -> MultipleChoiceQuestion:
    options = _texts(row["options"])
    positions = [str(i) for i in range(len(options))]
    return MultipleChoiceQuestion(
        task="ai2d",
        stem=_text(row, "question"),
        options=options,
        answer_index=_position(row, "answer", positions),
        images=(row["image"],),
    )


def _ccbench(row: Row, _split: str, _file: str) -> MultipleChoiceQuestion:
    """A row of CCBench's table, in the form of MMBench: an image in base64, options A to D."""
    letters = [letter for letter in "ABCD" if str(row.get(letter) or "").strip()]
    return MultipleChoiceQuestion(
        task=_text(row, "category"),
        stem=_text(row, "question"),
        options=tuple(str(row[letter]).strip() for letter in letters),
        answer_index=_position(row, "answer", letters),
        key=str(row["index"]),
        images=(row["image"],),
    )


BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "mmlu",
            "cais/mmlu",
            "test",
            "all",
            _mmlu,
            headerless_columns=("question", "A", "B", "C", "D", "answer"),
        ),
        Benchmark("mmlu_pro", "TIGER-Lab/MMLU-Pro", "test", "data", _mmlu_pro),
        Benchmark("winogrande", "allenai/winogrande", "validation", "winogrande_xl", _winogrande),
        Benchmark("arc_challenge", "allenai/ai2_arc", "test", "ARC-Challenge", _arc_challenge),
        Benchmark("boolq", "google/boolq", "validation", "data", _boolq),
        Benchmark(
            "truthfulqa", "truthfulqa/truthful_qa", "validation", "multiple_choice", _truthfulqa
        ),
        Benchmark("mrpc", "nyu-mll/glue", "validation", "mrpc", _mrpc),
        Benchmark("mnli", "nyu-mll/glue", "validation_matched", "mnli", _mnli),
        Benchmark("mmmu", "MMMU/MMMU", "validation", "*", _mmmu),
        Benchmark("ai2d", "lmms-lab/ai2d", "test", "data", _ai2d),
        Benchmark("ccbench", "", "test", "", _ccbench),
    )
}


def _row_key(row: Row, split: str) -> str | None:
    return f"{split}/{row['idx']}" if row.get("idx") not in (None, "") else None


def _text(row: Row, column: str) -> str:
    value = row[column]
    if not isinstance(value, str) or not value.strip():
        raise UnusableRow(f"column {column!r} has no text")
    return value.strip()


def _texts(value: Any) -> tuple[str, ...]:
    texts = _parsed(value)
    if not isinstance(texts, list) or len(texts) < 2:
        raise UnusableRow("the options must be a list of at least two texts (in a CSV file: JSON)")
    if not all(isinstance(text, str) for text in texts):
        raise UnusableRow("an option is not text")
    return tuple(text.strip() for text in texts)


def _literal(value: Any) -> Any:
    """Return a list; MMMU writes it as Python does, with single quotes."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise UnusableRow("the options are not a list of texts") from None


def _parsed(value: Any) -> Any:
    """Return a list or mapping unchanged; parse it if it is JSON text, as in a CSV file."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise UnusableRow("expected a list or its JSON text") from None


def _position(row: Row, column: str, *labels: "str | list[str] | tuple[str, ...]") -> int:
    """Return the index of the correct option, under any of the given labellings."""
    value = str(row[column]).strip()
    for names in labels:
        if value in list(names):
            return list(names).index(value)
    allowed = " or ".join(", ".join(names) for names in labels)
    shown = value if len(value) <= 10 else "a longer text"
    raise UnusableRow(
        f"column {column!r} is {shown!r}, which matches no option; allowed: {allowed} "
        "(a split without published answers cannot be graded: choose another split)"
    )
