"""Which candidates may be chosen."""

import pytest

from modelsat.routing.admission import matching


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["qwen*"], {"qwen-7b", "qwen[1]"}),
        (["Qwen*"], set()),
        (["qwen[1]"], {"qwen[1]"}),
        (["llama-?b", "none"], {"llama-8b"}),
        (["*"], {"qwen-7b", "qwen[1]", "llama-8b", "llama-70b"}),
        (["qwen"], set()),
    ],
)
def test_patterns(patterns, found):
    assert matching(["qwen-7b", "qwen[1]", "llama-8b", "llama-70b"], patterns) == found
