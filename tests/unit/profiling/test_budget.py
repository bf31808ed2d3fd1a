"""Usage of requests, tokens and dollars, against sums by hand."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.artifacts.schemas import OUTCOMES
from modelsat.errors import ConfigError
from modelsat.grading.judging import DEFAULT_RUBRIC
from modelsat.zoo.engines.openai import OpenAICandidate
from profiling.budget import Meter, Usage
from profiling.collect_config import BudgetConfig, CollectConfig
from profiling.config import JudgeConfig, RemoteConfig

PRICE = {"input_usd_per_mtok": 100, "output_usd_per_mtok": 1000}


def candidate(name: str, **fields: Any) -> OpenAICandidate:
    return OpenAICandidate.model_validate(
        {
            "name": name,
            "engine": "openai",
            "base_url": "http://h/v1",
            "model": "m",
            "context_window": 4096,
            "price": PRICE,
            **fields,
        }
    )


def meter_of(
    candidates: list[OpenAICandidate], settings: CollectConfig, judge: Any = None
) -> Meter:
    named = {one.name: one for one in (*candidates, *([judge] if judge else []))}
    return Meter(named, candidates, settings)


def config(judge: JudgeConfig | None = None, **budget: Any) -> CollectConfig:
    return CollectConfig(
        zoo=Path("zoo.yaml"),
        prompts=(Path("p.jsonl"),),
        output_dir=Path("out"),
        max_new_tokens=20,
        budget=BudgetConfig(**budget),
        judge=judge,
    )


def question(number: int = 0, text: str = "Why?", **fields: Any) -> dict[str, Any]:
    return {
        "question_id": f"q{number}",
        "prompt": text,
        "answer": "",
        "grader": "vote",
        "request": None,
        "grader_args": None,
        **fields,
    }


def test_a_prompt_uses_at_most_its_bytes_and_a_full_answer() -> None:
    brief = candidate("b", generation={"max_new_tokens": 7})
    meter = meter_of([candidate("a"), brief], config())
    most = meter.most_by_name([question(), question(1, "Wie sch\u00f6n?")])
    # 4 and 11 bytes, 64 tokens of a template each; 20 and 7 tokens of an answer.
    assert most["a"].requests == most["b"].requests == 2
    assert most["a"].tokens == 4 + 11 + 2 * (64 + 20)
    assert most["b"].tokens == 4 + 11 + 2 * (64 + 7)
    assert most["a"].usd == pytest.approx((143 * 100 + 40 * 1000) / 1e6)


def test_a_request_counts_its_messages_tools_and_images() -> None:
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": "x"}}]
    messages = [{"role": "user", "content": parts}]
    request = {"messages": messages, "tools": [{"name": "n" * 1000}]}
    with_images = candidate("a", modalities=["text", "image"], tools=True)
    meter = meter_of([with_images, candidate("blind")], config())
    most = meter.most_by_name([question(request=json.dumps(request))])
    assert list(most) == ["a"]
    assert 3000 < most["a"].tokens < 3400


def test_a_judge_counts_with_its_price() -> None:
    judge = JudgeConfig(name="j", max_new_tokens=100)
    meter = meter_of([candidate("a")], config(judge), candidate("j"))
    once = meter.most_by_name([question(grader="judge")])["j (judge)"]
    twice = meter.most_by_name([question(grader="judge", answer="No.")])["j (judge)"]
    # The question, an answer of 20 tokens of 8 bytes, the rubric and the instructions; its reply.
    prompt = 4 + 160 + len(DEFAULT_RUBRIC) + 500
    assert once == Usage(1, prompt + 100, pytest.approx((prompt * 100 + 100 * 1000) / 1e6))
    assert (twice.requests, twice.tokens) == (2, 2 * (prompt + 100 + 3))


def test_the_judge_is_counted_by_its_replies_and_not_for_its_own_answers() -> None:
    judge = JudgeConfig(name="j", max_new_tokens=100)
    meter = meter_of([candidate("a"), candidate("j")], config(judge))
    asked = question(grader="judge")
    assert meter.most_by_name([asked])["j (judge)"].requests == 1
    row = {"question_id": "q0", "candidate": "a", "output": "x" * 50, "judgement": "?"}
    outcomes = pa.Table.from_pylist([row], schema=OUTCOMES.arrow)
    used = meter.judged({"q0": asked}, outcomes, num_requests=3)  # twice without a score
    assert used.requests == 3
    assert used.tokens == 3 * (4 + 50 + len(DEFAULT_RUBRIC) + 500 + 100)
    most = meter.most_judging(candidate("a"), [asked])
    assert used.tokens <= 3 * most.tokens


def test_the_longest_answer_follows_request_fields() -> None:
    settings = config().model_copy(
        update={
            "remote": {
                "a": RemoteConfig(request_fields={"max_tokens": None, "max_completion_tokens": 900})
            }
        }
    )
    most = meter_of([candidate("a")], settings).most_by_name([question()])
    assert most["a"].tokens == 4 + 64 + 900


def test_a_candidate_that_left_the_zoo_is_named() -> None:
    rows = [{"question_id": "q0", "candidate": "b"}]
    outcomes = pa.Table.from_pylist(rows, schema=OUTCOMES.arrow)
    with pytest.raises(ConfigError, match=r"candidate 'b' was asked before.*put it back"):
        meter_of([candidate("a")], config()).answered({"q0": question()}, outcomes)


def test_what_was_used_is_counted_by_the_answers() -> None:
    meter = meter_of([candidate("a"), candidate("b")], config())
    rows = [
        {"question_id": "q0", "candidate": "a", "prompt_tokens": 5, "completion_tokens": 3},
        {"question_id": "q0", "candidate": "b"},  # failed: it may have cost all the same
    ]
    outcomes = pa.Table.from_pylist(rows, schema=OUTCOMES.arrow)
    used = meter.answered({"q0": question()}, outcomes)
    assert used == Usage(2, 8 + (4 + 64 + 20), pytest.approx((5 + 68) * 1e-4 + (3 + 20) * 1e-3))


@given(
    st.integers(1, 60),
    st.one_of(st.none(), st.integers(1, 300)),
    st.one_of(st.none(), st.integers(1, 9000)),
    st.one_of(st.none(), st.floats(0.001, 2)),
)
def test_as_many_prompts_as_fit_are_affordable_and_no_more(
    number: int, requests: int | None, tokens: int | None, usd: float | None
) -> None:
    settings = config(max_requests=requests, max_tokens=tokens, max_usd=usd)
    meter = meter_of([candidate("a"), candidate("b")], settings)
    questions = [question(i, "Why?" * (i % 7 + 1)) for i in range(number)]
    spent = Usage(3, 50, 0.01)
    found = meter.num_affordable(questions, spent)

    def total(count: int) -> Usage:
        used = spent
        for one in meter.most_by_name(questions[:count]).values():
            used += one
        return used

    assert found == 0 or total(found).fits(settings.budget)
    assert found == number or not total(found + 1).fits(settings.budget)


def test_dollars_need_prices() -> None:
    with pytest.raises(ConfigError, match=r"needs the price of b, j in zoo\.yaml"):
        meter_of(
            [candidate("a"), candidate("b", price=None)],
            config(JudgeConfig(name="j"), max_usd=1.0),
        )
