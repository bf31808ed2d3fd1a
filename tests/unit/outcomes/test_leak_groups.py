"""Leak groups, against a brute-force transitive closure."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from modelsat.artifacts.schemas import QUESTIONS
from modelsat.outcomes.leak_groups import normalised_stem, with_leak_groups


def table(rows):
    made = [
        {"question_id": i, "benchmark": "b", "task": "t", "prompt": p, "answer": "A"}
        | {"dup_group": g}
        for i, p, g in rows
    ]
    return pa.Table.from_pylist(made, schema=QUESTIONS.arrow)


def test_stem_is_the_text_before_the_options():
    four = "Which river is  longest?\nA. Nile\nB. Po\nC. Oder\nD. Ems"
    ten = "which river is longest?\n(A) Po\n(B) Nile"
    assert normalised_stem(four) == normalised_stem(ten) == "which river is longest"
    assert normalised_stem("?!") == "?!"


def test_ties_reach_across_benchmarks_and_are_transitive():
    rows = [
        ("m/2", "Which river?\nA. x", "g1"),
        ("p/1", "Which river?\nA. y", None),
        ("m/1", "Another text", "g1"),
        ("m/3", "A third", "g2"),
    ]
    groups = with_leak_groups(table(rows))["dup_group"].to_pylist()
    assert groups == ["m/1", "m/1", "m/1", "m/3"]


texts = st.sampled_from(["one", "two", "three", "four", "five", "six"])
declared = st.sampled_from([None, "g1", "g2", "g3"])


@given(st.lists(st.tuples(texts, declared), min_size=1, max_size=12))
def test_groups_are_the_transitive_closure(pairs):
    rows = [(f"q{i:02d}", text, group) for i, (text, group) in enumerate(pairs)]
    groups = with_leak_groups(table(rows))["dup_group"].to_pylist()

    def tied(a, b):
        return a[1] == b[1] or (a[2] is not None and a[2] == b[2])

    for i, row in enumerate(rows):
        reached, new = {i}, {i}
        while new:
            new = {k for k, other in enumerate(rows) for j in new if tied(rows[j], other)} - reached
            reached |= new
        assert groups[i] == min(rows[k][0] for k in reached), row
    turned = with_leak_groups(table(rows[::-1]))["dup_group"].to_pylist()
    assert turned[::-1] == groups
