"""Leak groups: questions that a split must keep together, as duplicates or by an equal stem.

MMLU-Pro repeats more than half of MMLU's stems with other options, so a router trained on one
has seen the other.
"""

import re
from collections.abc import Iterable, Sequence

import pyarrow as pa

_FIRST_OPTION = re.compile(r"\n\s*\(?A[.):]")
_NO_WORD = re.compile(r"[^a-z0-9]+")


def normalised_stem(prompt: str) -> str:
    """Return the words before the first option, in lower case, without punctuation.

    A prompt without letters or digits is its own stem.
    """
    stem = _NO_WORD.sub(" ", _FIRST_OPTION.split(prompt, maxsplit=1)[0].lower()).strip()
    return stem or prompt


def with_leak_groups(questions: pa.Table) -> pa.Table:
    """Return the questions with ``dup_group`` set to their leak group.

    Questions with an equal duplicate group or an equal stem share a leak group, directly or
    through other questions. The smallest question id names the group, so the order of rows does
    not matter.
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


def _connected(ids: Sequence[str], ties: Iterable[Sequence[str]]) -> list[str]:
    """Return each question's connected component, found by union-find.

    Args:
        ids: question ids.
        ties: for each kind of tie, one key per question; questions with an equal key are tied.
    """
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
