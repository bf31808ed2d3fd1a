from hypothesis import given
from hypothesis import strategies as st

from serve_app.contracts.scores import readable_part


@given(st.text(), st.integers(1, 20))
def test_a_text_is_cut_to_its_first_characters(text, max_tokens):
    part = readable_part(text, max_tokens)
    assert len(part) <= 16 * max_tokens
    assert part == text if len(text) <= 16 * max_tokens else part in text


def test_leading_white_space_does_not_count():
    assert readable_part(" \n" * 100 + "Why? " * 100, 1) == "Why? Why? Why? W"
    assert readable_part(" " * 100, 1) == ""
