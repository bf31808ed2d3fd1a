from dataclasses import replace

import pytest

from modelsat.errors import ArtifactError, ZooError
from serve_app.contracts.zoo_state import ZooState
from serve_app.registry.changes import (
    parse_entry,
    put_candidate,
    remove_candidate,
    roll_back,
    set_router,
)
from tests.support.serve_app.zoos import (
    RULES,
    TASKS_HASH,
    candidate,
    card,
    local_entry,
    remote_entry,
    state,
    zoo,
)

SERVED = state(remote_entry("a"), remote_entry("b"), version=4)


def put(served, entry, its_card=None, *, force=False, rules=RULES, tasks_hashes=(TASKS_HASH,)):
    return put_candidate(
        served, candidate(entry), its_card, tasks_hashes=tasks_hashes, rules=rules, force=force
    )


def test_a_candidate_is_added_with_its_card():
    added = put(SERVED, remote_entry("c"), card("c"))
    assert added.version == 5
    assert added.zoo.names == ("a", "b", "c")
    assert added.cards == (*SERVED.cards, card("c"))
    assert added.router == SERVED.router


def test_a_candidate_without_a_card_can_be_named_only():
    added = put(SERVED, remote_entry("c"))
    assert added.zoo.names == ("a", "b", "c")
    assert added.cards == SERVED.cards
    given = put(added, remote_entry("c"), card("c"))
    assert [c.candidate for c in given.cards] == ["a", "b", "c"]


def test_a_changed_entry_keeps_its_place_and_its_card():
    price = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}
    changed = put(SERVED, remote_entry("a", price=price, model="other"))
    assert changed.zoo.names == ("a", "b")
    assert changed.zoo.get("a").price.output_usd_per_mtok == 2
    assert changed.cards == SERVED.cards


def test_a_card_that_moved_implausibly_needs_force():
    with pytest.raises(ZooError, match=r"moved from 50\.0% to 98\.0%"):
        put(SERVED, remote_entry("a"), card("a", 490, 490))
    forced = put(SERVED, remote_entry("a"), card("a", 490, 490), force=True)
    assert forced.cards[0] == card("a", 490, 490)
    put(SERVED, remote_entry("a"), card("a", 255, 245))


@pytest.mark.parametrize(
    ("entry", "its_card", "said"),
    [
        (remote_entry("A"), None, "duplicate slug"),
        (remote_entry("auto-cheap"), None, "name of a routing profile"),
        (remote_entry("c"), card("d"), "the card is that of 'd'"),
        (remote_entry("c", api_key_env="NO_SUCH_KEY"), None, "NO_SUCH_KEY of its key is not set"),
        (local_entry("a"), None, "another engine"),
        (remote_entry("c"), card("c", notes="\x00"), "control characters"),
    ],
)
def test_force_skips_no_other_check(entry, its_card, said):
    with pytest.raises(ZooError, match=said):
        put(SERVED, entry, its_card, force=True)


def test_a_key_in_the_environment_is_enough():
    rules = replace(RULES, environment={"SOME_KEY": ""})
    assert put(SERVED, remote_entry("c", api_key_env="SOME_KEY"), rules=rules).version == 5


def test_a_card_that_the_router_cannot_read_is_refused():
    other = "f" * 16
    with pytest.raises(ArtifactError, match=f"task set {other}"):
        put(SERVED, remote_entry("c"), card("c", tasks_hash=other), force=True)
    with pytest.raises(ArtifactError, match=f"task set {other}"):
        # The router reads both task sets, but only one at a time.
        put(
            SERVED, remote_entry("c"), card("c", tasks_hash=other), tasks_hashes=(TASKS_HASH, other)
        )


def test_the_card_of_the_only_candidate_must_keep_its_tasks():
    alone = state(remote_entry("a"))
    first, *rest = card("a").statements
    renamed = replace(card("a"), statements=(replace(first, description="else"), *rest))
    with pytest.raises(ZooError, match="describes its tasks differently"):
        put(alone, remote_entry("a"), renamed, force=True)


def test_a_local_engine_does_not_change_while_it_serves():
    served = state(local_entry("a"), remote_entry("b"))
    with pytest.raises(ZooError, match="another engine or other engine settings"):
        put(served, local_entry("a", "org/other"))
    assert put(served, {**local_entry("a"), "context_window": 7}).zoo.get("a").context_window == 7


def test_a_candidate_is_removed_with_its_card():
    left = remove_candidate(SERVED, "a", rules=RULES)
    assert (left.version, left.zoo.names, left.cards) == (5, ("b",), (card("b"),))


def test_a_required_candidate_cannot_be_removed():
    with pytest.raises(ZooError, match="unknown candidate 'x'; the zoo holds a, b"):
        remove_candidate(SERVED, "x", rules=RULES)
    with pytest.raises(ZooError, match=r"'a' is routing\.default_candidate"):
        remove_candidate(SERVED, "a", rules=replace(RULES, default_candidate="a"))
    unrouted = ZooState(1, zoo(remote_entry("a"), remote_entry("b")), (card("a"),), "router")
    with pytest.raises(ZooError, match="'a' is the last one with a card"):
        remove_candidate(unrouted, "a", rules=RULES)
    assert remove_candidate(unrouted, "b", rules=RULES).zoo.names == ("a",)


def test_a_router_has_to_read_the_cards():
    assert set_router(SERVED, "/other", tasks_hashes=["f" * 16, TASKS_HASH]) == replace(
        SERVED, version=5, router="/other"
    )
    with pytest.raises(ArtifactError, match="cards for the router /other"):
        set_router(SERVED, "/other", tasks_hashes=["f" * 16])


def test_rolling_back_creates_a_new_version():
    changed = put(remove_candidate(SERVED, "a", rules=RULES), remote_entry("c"), card("c"))
    back = roll_back(changed, SERVED, tasks_hashes=[TASKS_HASH], rules=RULES)
    assert back == replace(SERVED, version=changed.version + 1)


def test_rolling_back_obeys_the_current_rules():
    served = state(remote_entry("a"), local_entry("b"), version=2)
    slug_taken = state(remote_entry("a"), local_entry("B"), version=1)
    other_engine = state(remote_entry("a"), local_entry("b", "org/other"), version=1)
    for earlier in (slug_taken, other_engine):
        with pytest.raises(ZooError, match="another engine or other engine settings"):
            roll_back(served, earlier, tasks_hashes=[TASKS_HASH], rules=RULES)
    with pytest.raises(ArtifactError, match="cards of version 1"):
        roll_back(served, state(remote_entry("a")), tasks_hashes=["f" * 16], rules=RULES)
    rules = replace(RULES, default_candidate="b")
    with pytest.raises(ZooError, match=r"routing\.default_candidate"):
        roll_back(served, state(remote_entry("a")), tasks_hashes=[TASKS_HASH], rules=rules)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({**remote_entry("c"), "api_key": "x"}, "api_key"),
        (local_entry("c", "./models/c"), "is a relative path"),
        (remote_entry("auto"), "asks for routing"),
        (None, "zoo entry: candidates.0"),
        ([], "zoo entry: candidates.0"),
    ],
)
def test_an_invalid_entry_is_refused(entry, said):
    with pytest.raises(ZooError, match=said):
        parse_entry(entry)
