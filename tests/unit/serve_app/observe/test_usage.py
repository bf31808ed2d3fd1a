"""Costs worked by hand."""

import pytest

from modelsat.zoo import Price
from serve_app.observe.usage import cost_usd

PRICE = Price(input_usd_per_mtok=2.0, output_usd_per_mtok=8.0)


@pytest.mark.parametrize(
    ("price", "prompt_tokens", "completion_tokens", "expected"),
    [
        (PRICE, 1000, 500, 0.006),
        (PRICE, 1000, None, 0.002),
        (PRICE, None, None, None),
        (None, 1000, 500, None),
        (PRICE, 0, 0, 0.0),
    ],
)
def test_tokens_cost_their_price(price, prompt_tokens, completion_tokens, expected):
    assert cost_usd(price, prompt_tokens, completion_tokens) == pytest.approx(expected)
