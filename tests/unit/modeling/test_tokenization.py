"""Widths of tokenized instructions."""

import pytest
import torch

from modelsat.modeling.loading import build_model
from tests.support.router_parts import make_router

WORDS = "two plus two is four and three more is seven which is a prime number of some fame".split()


@pytest.fixture(scope="module")
def router(tmp_path_factory):
    return make_router(tmp_path_factory.mktemp("router"))


@pytest.mark.parametrize("num_words", [1, 3, 8, 9, len(WORDS)])
def test_width_is_padded_without_changing_the_tokens(router, num_words):
    texts = [" ".join(WORDS[:num_words]), WORDS[0]]
    tokens = router.tokenizer(texts)
    plain = router.tokenizer.encoder_features(texts)
    for width in (tokens.input_ids_BS.shape[1], tokens.features["input_ids"].shape[1]):
        assert width % 8 == 0
    own = plain["input_ids"].shape[1]
    assert 0 <= tokens.features["input_ids"].shape[1] - own < 8
    assert torch.equal(tokens.features["input_ids"][:, :own], plain["input_ids"])
    assert not tokens.features["attention_mask"][:, own:].any()
    widened, narrow = (router.model.encode(f) for f in (tokens.features, plain))
    torch.testing.assert_close(widened, narrow, atol=1e-5, rtol=0)
    longest = int(tokens.mask_BS.sum(dim=1).max())
    assert 0 <= tokens.input_ids_BS.shape[1] - longest < 8


def test_encoder_input_is_within_its_maximum_length(router):
    config = router.config.model_copy(update={"max_encoder_tokens": 13})
    _, tokenizer = build_model(config, seed=0)
    assert tokenizer([" ".join(WORDS)]).features["input_ids"].shape[1] == 13
