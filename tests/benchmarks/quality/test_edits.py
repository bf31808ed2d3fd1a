"""Edits of one line of a card, on a router whose base model has nothing to say."""

from dataclasses import replace

import pytest
import torch

from modelsat.errors import ZooError
from modelsat.modeling.connector import Connector
from modelsat.routing.scoring import Scorer
from tests.benchmarks.quality.edits import edit_cards, raised
from tests.support.router_parts import make_cards, make_matrix, make_router


@pytest.fixture
def scorer(tmp_path, monkeypatch):
    """Scores are the evidence on the statement that is relevant, which is the asked topic's."""
    router = make_router(tmp_path)
    with torch.no_grad():
        router.model.readout.weight.zero_()
        router.model.connector.level_weights.copy_(torch.tensor([1.0, 0.0]))
    made = Scorer(router)
    topics = [statement.task for statement in make_cards(1)[0].statements]

    def relevance(self, instructions, statements):
        return torch.nn.functional.one_hot(made.asked, len(topics)).float().log()

    before = made.log_odds

    def log_odds(texts, cards):
        places = [next(i for i, t in enumerate(topics) if WORD_OF[t] in text) for text in texts]
        made.asked = torch.tensor(places)
        return before(texts, cards)

    monkeypatch.setattr(Connector, "log_relevance", relevance)
    monkeypatch.setattr(made, "log_odds", log_odds)
    return made


WORD_OF = {"rivers": "river", "verbs": "verb", "sums": "sum", "moons": "moons"}


def test_an_edit_moves_its_own_scores_and_no_others(scorer):
    edit = edit_cards(scorer, make_matrix(5), make_cards(30), "sums", "verbs", most=20)
    assert edit.share_risen == 1.0
    assert edit.edited_change > 0.2
    assert edit.other_change == 0.0
    assert edit.num_cards <= 20


def test_a_card_is_raised_where_there_is_room():
    card = make_cards(1)[0]
    statement = card.statements[2]
    low = replace(card, statements=tuple(replace(s, num_correct=4.0) for s in card.statements))
    higher = raised(low, statement.task)
    changed = [
        a.num_correct - b.num_correct
        for a, b in zip(higher.statements, low.statements, strict=True)
    ]
    assert changed == [0.0, 0.0, 8.0, 0.0]
    high = replace(card, statements=tuple(replace(s, num_correct=19.0) for s in card.statements))
    assert raised(high, statement.task).statements[2].num_correct == 20.0
    full = replace(card, statements=tuple(replace(s, num_correct=20.0) for s in card.statements))
    assert raised(full, statement.task) is None
    with pytest.raises(ZooError, match="room"):
        edit_cards(None, make_matrix(1), [full], statement.task, "verbs", most=5)
