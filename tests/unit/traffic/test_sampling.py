"""Samples of prompts: near duplicates, topics and shares."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import ArtifactError, ConfigError
from modelsat.traffic.near_duplicates import near_duplicate_groups
from modelsat.traffic.prompt import TrafficPrompt
from modelsat.traffic.redaction import load_redaction
from modelsat.traffic.sampling import Sample, fair_shares, sample_traffic

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
THEMES = {
    "cook": "How long do I boil {} potatoes for a salad with herbs and butter?",
    "code": "Write a Python function that sorts a list of {} dictionaries by a key.",
    "law": "Which court decides about an appeal against a {} year sentence?",
}
NUMBERS = "two three four five six seven eight nine ten eleven twelve thirty forty".split()


def sample(prompts: list[TrafficPrompt], **options: object) -> Sample:
    settings: dict[str, object] = {
        "num_prompts": 100,
        "num_topics": 3,
        "similarity": 0.95,
        "encoder": MINILM,
        "default_grader": "vote",
    }
    return sample_traffic(prompts, **{**settings, **options})  # type: ignore[arg-type]


def traffic() -> list[TrafficPrompt]:
    """Ten times as much cooking as law."""
    some = [TrafficPrompt(THEMES["cook"].format(number)) for number in NUMBERS]
    some += [TrafficPrompt(THEMES["code"].format(number)) for number in NUMBERS[:5]]
    return [*some, TrafficPrompt(THEMES["law"].format("nine"))]


def jaccard(one: str, other: str) -> float:
    """Of five-character shingles, by a plain loop."""
    sets = []
    for text in (one, other):
        plain = re.sub(r"\s+", " ", text.strip().lower())
        sets.append({plain[i : i + 5] for i in range(max(1, len(plain) - 4))})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_near_duplicates_are_those_of_a_plain_loop() -> None:
    rng = Random(7)
    words = (
        "the quick brown fox jumps over a lazy dog while seven cats sleep near warm fires".split()
    )
    texts = [" ".join(rng.choices(words, k=30)) for _ in range(20)]
    for text in texts[:10]:
        changed = text.split()
        changed[rng.randrange(30)] = "unheard"
        texts += [" ".join(changed), f"  {text.upper()} "]
    expected: list[int] = []
    for number, text in enumerate(texts):
        firsts = [i for i in range(number) if expected[i] == i and jaccard(texts[i], text) >= 0.8]
        expected.append(firsts[0] if firsts else number)
    assert near_duplicate_groups(texts, [""] * len(texts), 0.8) == expected
    assert len(set(expected)) < len(texts)


def test_equal_texts_with_other_images_or_tools_are_different_prompts() -> None:
    def prompt(url: str | None, tools: list[dict[str, str]] | None = None) -> TrafficPrompt:
        parts: list[object] = [{"type": "text", "text": "What does it show?"}]
        if url:
            parts.append({"type": "image_url", "image_url": {"url": url}})
        request = {"messages": [{"role": "user", "content": parts}]}
        return TrafficPrompt("What does it show?", request | ({"tools": tools} if tools else {}))

    tools = [{"name": "zoom"}]
    prompts = [prompt("a"), prompt("b"), prompt("a"), prompt(None), prompt(None, tools)]
    assert sample(prompts).num_distinct == 4


def test_rare_topics_are_in_the_sample_and_in_every_beginning_of_it() -> None:
    found = sample(traffic(), num_prompts=9)
    assert [topic.num_prompts for topic in found.topics] == [13, 5, 1]
    assert [topic.num_sampled for topic in found.topics] == [4, 4, 1]
    assert {row["task"] for row in found.questions[:3]} == {"topic-00", "topic-01", "topic-02"}
    by_topic = {row["task"]: row["category"] for row in found.questions}
    assert "boil" in by_topic["topic-00"]
    assert "function" in by_topic["topic-01"]
    assert len({row["question_id"] for row in found.questions}) == 9


def test_the_same_seed_draws_the_same_sample_and_another_one_another() -> None:
    once, again = (sample(traffic(), num_prompts=6) for _ in range(2))
    assert once == again
    assert sample(traffic(), num_prompts=6, seed=5).questions != once.questions


def test_prompts_without_a_gold_answer_get_the_default_grader() -> None:
    graded = TrafficPrompt("7 * 6?", None, {"answer": "42", "grader": "number"})
    rows = sample([graded, TrafficPrompt("Tell me a story about a fox.")]).questions
    assert {row["prompt"]: row["grader"] for row in rows} == {
        "7 * 6?": "number",
        "Tell me a story about a fox.": "vote",
    }


def test_without_a_prompt_there_is_no_sample() -> None:
    with pytest.raises(ArtifactError, match="no prompt to ask"):
        sample([])


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(0, 200))
def test_shares_are_even_as_far_as_topics_reach(sizes: list[int], total: int) -> None:
    shares = fair_shares(sizes, total)
    assert sum(shares) == min(total, sum(sizes))
    assert all(share <= size for share, size in zip(shares, sizes, strict=True))
    # Nobody with prompts left over has fewer than anybody else, apart from one prompt of rounding.
    short = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    assert not short or min(short) >= max(shares) - 1


def secret(text: str) -> str:
    return text.replace("Ada", "[NAME]")


def secret_numbers(text: str) -> str:
    return re.sub(r"\d+", "", text)


def broken(text: str) -> str:
    raise ValueError(text)


def silent(_text: str) -> None:
    return None


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Names of functions of this module, as settings name them."""
    import sys
    import types

    module = types.ModuleType("own_redaction")
    module.__dict__.update(
        secret=secret, secret_numbers=secret_numbers, broken=broken, silent=silent, number=7
    )
    monkeypatch.setitem(sys.modules, "own_redaction", module)
    return lambda name: f"own_redaction:{name}"


def test_every_text_is_redacted_before_it_is_kept(importable: Callable[[str], str]) -> None:
    call = {"type": "function", "function": {"name": "find", "arguments": '{"who": "Ada"}'}}
    request = {
        "messages": [
            {"role": "system", "content": "Ada asks."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "Ada", "content": "Ada: 7"},
            {"role": "user", "name": "Ada", "content": [{"type": "text", "text": "Who is Ada?"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "find", "description": "Ada's"}}],
    }
    prompt = TrafficPrompt("Who is Ada?", request, {"answer": "Ada L.", "grader": "text"})
    [row] = sample([prompt], redact=load_redaction(importable("secret"))).questions
    assert (row["prompt"], row["answer"]) == ("Who is [NAME]?", "[NAME] L.")
    assert row["question_id"] == prompt.question_id
    assert Counter(re.findall(r"Ada|\[NAME\]", row["request"])) == {"[NAME]": 6, "Ada": 1}


@pytest.mark.parametrize(
    ("name", "reason"),
    [("broken", "failed with ValueError"), ("silent", "returned NoneType, not a text")],
)
def test_a_redaction_that_fails_stops_without_the_text(
    importable: Callable[[str], str], name: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        sample([TrafficPrompt("Who is Ada?")], redact=load_redaction(importable(name)))
    assert "Ada" not in str(refused.value)


@pytest.mark.parametrize("name", ["nothing", "no.such.module:f", "re:no_such", ":f", "own"])
def test_a_redaction_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(name)):
        load_redaction(name)


def test_a_redaction_must_be_a_function(importable: Callable[[str], str]) -> None:
    with pytest.raises(ConfigError, match="name a function as module:function"):
        load_redaction(importable("number"))


def test_prompts_with_one_long_system_message_are_different() -> None:
    system = {"role": "system", "content": "Be kind, brief and exact. " * 300}
    texts = ["What is rain?", "Sort a list in Python.", "May I sue my bank?"]
    prompts = [
        TrafficPrompt(text, {"messages": [system, {"role": "user", "content": text}]})
        for text in texts
    ]
    assert sample(prompts).num_distinct == 3


def test_long_texts_that_differ_at_their_end_are_different() -> None:
    context = " ".join(f"fact {i}" for i in range(2000))
    texts = [context + " ".join(f"{word} {i * i}" for i in range(300)) for word in ("who", "when")]
    assert near_duplicate_groups(texts, ["", ""], 0.9) == [0, 1]


def test_a_prompt_with_a_gold_answer_stands_for_its_duplicates() -> None:
    plain = TrafficPrompt("What is the capital of France?")
    graded = replace(plain, graded={"answer": "Paris"}, known_id="q1")
    [row] = sample([plain, plain, graded]).questions
    assert (row["question_id"], row["answer"], row["grader"]) == ("q1", "Paris", None)


def test_two_questions_of_one_id_are_refused_by_name() -> None:
    with pytest.raises(ArtifactError, match="different questions of id 'q1'"):
        sample([TrafficPrompt("A?", known_id="q1"), TrafficPrompt("B?", known_id="q1")])


def test_redaction_may_leave_no_text_or_no_usable_gold_answer(
    importable: Callable[[str], str],
) -> None:
    redact = load_redaction(importable("secret_numbers"))
    prompts = [
        TrafficPrompt("12345"),
        TrafficPrompt("What is 3 + 4?", None, {"answer": "7", "grader": "number"}),
    ]
    found = sample(prompts, redact=redact)
    assert (found.num_read, found.num_emptied) == (2, 1)
    [row] = found.questions
    assert (row["prompt"], row["answer"], row["grader"]) == ("What is  + ?", "", "vote")
