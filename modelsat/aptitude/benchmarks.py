"""How a published benchmark's rows become questions: the columns of its hub data set.

Our wording of the choice stands here where the benchmark has none of its own (WinoGrande, BoolQ,
MRPC, MNLI); no text of any benchmark does. Columns are those of the data sets named below, as
their cards on the hub describe them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from string import ascii_uppercase
from typing import Any

Row = Mapping[str, Any]


class UnusableRow(ValueError):
    """A row that is no question of its benchmark; says which column and what is allowed."""


@dataclass(frozen=True)
class Item:
    """One question before it is laid out.

    Attributes:
        task: its task.
        stem: what is asked, without the options.
        options: texts in the order of their letters.
        right: position of the right option.
        key: what names it among the benchmark's questions; None numbers it in its task.
        category: coarser than the task, where the benchmark has such.
    """

    task: str
    stem: str
    options: tuple[str, ...]
    right: int
    key: str | None = None
    category: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """A benchmark and where its questions lie.

    Attributes:
        name: value of the questions' column ``benchmark``.
        hub_id: its data set on the Hugging Face hub.
        split: the split that is asked where none is named: one with published answers.
        folder: folder of its files in the data set; empty for the top.
        convert: makes a question of a row, the split and the name of the row's file.
        bare_columns: columns of its CSV files that have no header line.
    """

    name: str
    hub_id: str
    split: str
    folder: str
    convert: Callable[[Row, str, str], Item]
    bare_columns: tuple[str, ...] = ()

    def patterns(self, split: str) -> tuple[str, ...]:
        """Where a data set's folder may hold the split, the likeliest first."""
        at_top = (f"{split}-*.parquet", f"{split}.parquet", f"{split}.csv", f"{split}.jsonl")
        in_folder = tuple(f"{self.folder}/{name}" for name in at_top) if self.folder else ()
        # The original MMLU archive: one file per subject in a folder of the split.
        by_task = (f"{split}/*_{split}.csv", f"*_{split}.csv") if self.bare_columns else ()
        return (*in_folder, *at_top, *by_task)


def _mmlu(row: Row, split: str, file: str) -> Item:
    options = _texts(row["choices"]) if row.get("choices") is not None else None
    subject = row.get("subject") or file.removesuffix(f"_{split}")
    return Item(
        task=_text({"subject": subject}, "subject"),
        stem=_text(row, "question"),
        options=options or _texts([row[letter] for letter in "ABCD"]),
        right=_position(row, "answer", "ABCD", "0123"),
    )


def _mmlu_pro(row: Row, split: str, file: str) -> Item:
    del split, file
    options = _texts(row["options"])
    letters = ascii_uppercase[: len(options)]
    question_id = row.get("question_id")
    return Item(
        task=_text(row, "src") if row.get("src") else _text(row, "category"),
        stem=_text(row, "question"),
        options=options,
        right=_position(row, "answer", letters),
        key=None if question_id in (None, "") else str(question_id),
        category=_text(row, "category"),
    )


def _winogrande(row: Row, split: str, file: str) -> Item:
    del split, file
    return Item(
        task="winogrande",
        stem=f"{_text(row, 'sentence')}\nWhich option belongs in the place of the blank?",
        options=(_text(row, "option1"), _text(row, "option2")),
        right=_position(row, "answer", "12"),
        key=row.get("qID") or None,
    )


def _arc_challenge(row: Row, split: str, file: str) -> Item:
    del split, file
    choices = _parsed(row["choices"])
    if not isinstance(choices, Mapping):
        raise UnusableRow("column 'choices' is no mapping of text and label")
    labels = [str(label) for label in choices["label"]]
    return Item(
        task="arc_challenge",
        stem=_text(row, "question"),
        options=_texts(choices["text"]),
        right=_position(row, "answerKey", labels),
        key=_text(row, "id"),
    )


def _boolq(row: Row, split: str, file: str) -> Item:
    del split, file
    question = _text(row, "question").rstrip("?")
    question = question[:1].upper() + question[1:]
    return Item(
        task="boolq",
        stem=f"{_text(row, 'passage')}\n\n{question}?",
        options=("Yes", "No"),
        right=_position(row, "answer", ("True", "False"), ("true", "false")),
    )


def _truthfulqa(row: Row, split: str, file: str) -> Item:
    del split, file
    stem = _text(row, "question")
    targets = _parsed(row["mc1_targets"])
    if not isinstance(targets, Mapping):
        raise UnusableRow("column 'mc1_targets' is no mapping of choices and labels")
    options, labels = _texts(targets["choices"]), [str(label) for label in targets["labels"]]
    if sorted(labels) != ["0"] * (len(options) - 1) + ["1"]:
        raise UnusableRow("column 'mc1_targets' has not one label 1 and 0 for each other choice")
    # The right one stands first in every row; a hash of the texts puts them in another order.
    order = sorted(
        range(len(options)), key=lambda i: sha256(f"{stem}/{options[i]}".encode()).hexdigest()
    )
    return Item(
        task="truthfulqa",
        stem=stem,
        options=tuple(options[i] for i in order),
        right=order.index(labels.index("1")),
    )


def _mrpc(row: Row, split: str, file: str) -> Item:
    del file
    return Item(
        task="mrpc",
        stem=(
            f"Sentence 1: {_text(row, 'sentence1')}\nSentence 2: {_text(row, 'sentence2')}\n"
            "Do the two sentences say the same?"
        ),
        options=("No", "Yes"),
        right=_position(row, "label", "01"),
        key=_row_key(row, split),
    )


def _mnli(row: Row, split: str, file: str) -> Item:
    del file
    return Item(
        task="mnli",
        stem=(
            f"Premise: {_text(row, 'premise')}\nHypothesis: {_text(row, 'hypothesis')}\n"
            "What does the premise say of the hypothesis?"
        ),
        options=("It is true", "Nothing for certain", "It is false"),
        right=_position(row, "label", "012"),
        key=_row_key(row, split),
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
            bare_columns=("question", "A", "B", "C", "D", "answer"),
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
    )
}


def _row_key(row: Row, split: str) -> str | None:
    return f"{split}/{row['idx']}" if row.get("idx") not in (None, "") else None


def _text(row: Row, column: str) -> str:
    value = row[column]
    if not isinstance(value, str) or not value.strip():
        raise UnusableRow(f"column {column!r} holds no text")
    return value.strip()


def _texts(value: Any) -> tuple[str, ...]:
    texts = _parsed(value)
    if not isinstance(texts, list) or len(texts) < 2:
        raise UnusableRow("the options are no list of two texts or more (in a CSV file: JSON)")
    if not all(isinstance(text, str) for text in texts):
        raise UnusableRow("an option is no text")
    return tuple(text.strip() for text in texts)


def _parsed(value: Any) -> Any:
    """A list or mapping as it is, or from the JSON text that a CSV file holds in its place."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise UnusableRow("a list is neither one nor JSON text of one") from None


def _position(row: Row, column: str, *namings: "str | list[str] | tuple[str, ...]") -> int:
    """Position of the right option, by any of the ways in which the options may be named."""
    value = str(row[column]).strip()
    for names in namings:
        if value in list(names):
            return list(names).index(value)
    allowed = " or ".join(", ".join(names) for names in namings)
    shown = value if len(value) <= 10 else "a longer text"
    raise UnusableRow(
        f"column {column!r} is {shown!r}, which names no option; allowed are {allowed} "
        "(a split without published answers cannot be graded: take another)"
    )
