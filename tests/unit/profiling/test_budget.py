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
from modelsat.zoo.engines.openai import OpenAICandidate
from profiling.budget import Meter, Usage
from profiling.collect_config import BudgetConfig, CollectConfig
from profiling.config import JudgeConfig

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
        **fields,
    }


def test_a_prompt_uses_at_most_its_bytes_and_a_full_answer() -> None:
    meter = Meter(
        [candidate("a"), candidate("b", generation={"max_new_tokens": 7})], None, config()
    )
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
    meter = Meter([with_images, candidate("blind")], None, config())
    most = meter.most_by_name([question(request=json.dumps(request))])
    assert list(most) == ["a"]
    assert 3000 < most["a"].tokens < 3400


def test_a_judge_counts_with_its_price() -> None:
    judge = JudgeConfig(name="j", max_new_tokens=100)
    meter = Meter([candidate("a")], candidate("j"), config(judge))
    once = meter.most_by_name([question(grader="judge")])["j (judge)"]
    twice = meter.most_by_name([question(grader="judge", answer="No.")])["j (judge)"]
    assert once == Usage(1, 4 + 40 + 1000 + 100, pytest.approx((1044 * 100 + 100 * 1000) / 1e6))
    assert (twice.requests, twice.tokens) == (2, 2 * (1144 + 3))


def test_what_was_used_is_counted_by_the_answers() -> None:
    meter = Meter([candidate("a"), candidate("b")], None, config())
    rows = [
        {"question_id": "q0", "candidate": "a", "prompt_tokens": 5, "completion_tokens": 3},
        {"question_id": "q0", "candidate": "b"},  # failed: it may have cost all the same
    ]
    outcomes = pa.Table.from_pylist(rows, schema=OUTCOMES.arrow)
    used = meter.spent([question()], outcomes)
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
    meter = Meter([candidate("a"), candidate("b")], None, settings)
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
        Meter(
            [candidate("a"), candidate("b", price=None)],
            None,
            config(JudgeConfig(name="j"), max_usd=1.0),
        )
