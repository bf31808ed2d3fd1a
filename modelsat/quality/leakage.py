"""Questions that must stay on one side of a split: declared duplicates and equal stems.

MMLU-Pro repeats more than half of its stems from MMLU, with other options; a router that trained
on one has seen the other.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256

import pyarrow as pa

_FIRST_OPTION = re.compile(r"\n\s*\(?A[.):]")
_NO_WORD = re.compile(r"[^a-z0-9]+")


def normalised_stem(prompt: str) -> str:
    """The words of a question before its options, in lower case, without punctuation.

    A prompt without letters or digits is its own stem.
    """
    stem = _NO_WORD.sub(" ", _FIRST_OPTION.split(prompt, maxsplit=1)[0].lower()).strip()
    return stem or prompt


def with_leak_groups(questions: pa.Table) -> pa.Table:
    """The table with ``dup_group`` naming all questions tied by duplicate group or by stem.

    A group is named by the smallest of its question ids, whatever the order of the rows.
    """
    ids = questions["question_id"].to_pylist()
    stems = [f"stem {normalised_stem(prompt)}" for prompt in questions["prompt"].to_pylist()]
    declared = [
        f"group {group}" if group else stem
        for group, stem in zip(questions["dup_group"].to_pylist(), stems, strict=True)
    ]
    groups = _connected(ids, (stems, declared))
    column = questions.schema.get_field_index("dup_group")
    return questions.set_column(column, questions.schema.field(column), pa.array(groups))


def fold_of(group: str, num_folds: int) -> int:
    """The test fold of a group, by hash: the same on every machine and for every table."""
    return int.from_bytes(sha256(group.encode()).digest()[:8], "big") % num_folds


def _connected(ids: Sequence[str], ties: Iterable[Sequence[str]]) -> list[str]:
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for tie in ties:
        for question, key in zip(ids, tie, strict=True):
            parent[root(f"id {question}")] = root(key)
    smallest: dict[str, str] = {}
    for question in ids:
        own = root(f"id {question}")
        smallest[own] = min(question, smallest.get(own, question))
    return [smallest[root(f"id {question}")] for question in ids]
