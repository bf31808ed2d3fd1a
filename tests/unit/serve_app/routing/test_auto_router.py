import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.routing.choice import choose
from modelsat.routing.constraints import Constraints
from serve_app.contracts.errors import ApiError
from tests.support.serve_app.small_zoo import (
    FakeScorer,
    Surroundings,
    candidate,
    make_router,
    make_state,
    next_version,
    request,
)

ABC = [candidate("a", cost=9), candidate("b", cost=3), candidate("c", cost=1)]
SCORES = {"a": 0.9, "b": 0.85, "c": 0.5}


def rank(router_dir, asked=None, scores=SCORES, surroundings=None, accuracies=None, **options):
    async def run():
        state = make_state(router_dir, ABC, accuracies=accuracies)
        router = await make_router(state, FakeScorer(scores), surroundings, **options)
        return await router.rank(asked or request())

    return asyncio.run(run())


def test_the_ranking_follows_the_scores(router_dir):
    ranking = rank(router_dir)
    assert ranking.order == ("a", "b", "c")
    assert (ranking.reason, ranking.zoo_version) == ("highest_score", 1)
    assert ranking.confidence == pytest.approx(0.9)
    assert ranking.scores == pytest.approx(SCORES)


@pytest.mark.parametrize(
    ("constraints", "order", "reason"),
    [
        (Constraints(tolerance=0.1), ("b", "a", "c"), "cheapest_within_tolerance"),
        (Constraints(min_p=0.4), ("c", "b", "a"), "cheapest_with_min_p"),
        (Constraints(min_p=0.95), ("a", "b", "c"), "below_min_p"),
        (Constraints(models=("b", "c")), ("b", "c"), "highest_score_allowed"),
        (Constraints(max_cost=3), ("b", "c"), "highest_score_allowed"),
    ],
)
def test_constraints_shape_order_and_reason(router_dir, constraints, order, reason):
    ranking = rank(router_dir, request(constraints=constraints))
    assert (ranking.order, ranking.reason) == (order, reason)


def test_a_candidate_that_failed_recently_comes_last(router_dir):
    surroundings = Surroundings()
    surroundings.cooled = {"a"}
    ranking = rank(router_dir, surroundings=surroundings)
    assert (ranking.order, ranking.reason) == (("b", "c", "a"), "highest_score_healthy")


def test_if_all_failed_recently_the_order_is_the_policys(router_dir):
    surroundings = Surroundings()
    surroundings.cooled = {"a", "b", "c"}
    assert rank(router_dir, surroundings=surroundings).order == ("a", "b", "c")


def test_a_candidate_without_a_score_is_not_chosen(router_dir):
    ranking = rank(router_dir, scores={"a": math.nan, "b": 0.2})
    assert ranking.order == ("b",)
    assert ranking.excluded == {"a": "score_missing", "c": "score_missing"}
    assert ranking.scores == pytest.approx({"b": 0.2})


def test_a_request_without_candidates_is_refused_before_scoring(router_dir):
    async def run():
        scorer = FakeScorer(SCORES)
        router = await make_router(make_state(router_dir, ABC), scorer)
        with pytest.raises(ApiError) as refused:
            await router.rank(request(constraints=Constraints(models=("x",))))
        return refused.value.status, scorer.texts

    assert asyncio.run(run()) == (404, [])


# Without scores.


@pytest.mark.parametrize("scores", [{}, dict.fromkeys("abc", math.nan), {"a": math.inf}])
def test_without_a_finite_score_the_candidate_with_the_best_card_is_chosen(router_dir, scores):
    accuracies = {"a": 0.3, "b": 0.8, "c": 0.6}
    ranking = rank(router_dir, scores=scores, accuracies=accuracies)
    assert (ranking.order, ranking.reason) == (("b", "c", "a"), "default_no_finite_score")
    assert ranking.confidence is None


def test_the_configured_default_comes_before_the_best_card(router_dir):
    accuracies = {"a": 0.3, "b": 0.8, "c": 0.6}
    ranking = rank(router_dir, scores={}, accuracies=accuracies, default_candidate="a")
    assert ranking.order == ("a", "b", "c")


def test_a_default_that_is_not_admitted_is_skipped(router_dir):
    asked = request(constraints=Constraints(models=("b", "c")))
    assert rank(router_dir, asked, scores={}, default_candidate="a").order == ("b", "c")


def test_a_default_that_failed_recently_comes_last(router_dir):
    surroundings = Surroundings()
    surroundings.cooled = {"a"}
    ranking = rank(router_dir, scores={}, surroundings=surroundings, default_candidate="a")
    assert ranking.order == ("b", "c", "a")


def test_the_reason_states_that_the_scorer_failed(router_dir):
    async def run():
        scorer = FakeScorer(SCORES)
        scorer.is_dead = True
        router = await make_router(make_state(router_dir, ABC), scorer, default_candidate="b")
        return await router.rank(request())

    ranking = asyncio.run(run())
    assert (ranking.order[0], ranking.reason) == ("b", "default_scorer_failed")


def test_a_request_without_text_is_routed_without_scores(router_dir):
    ranking = rank(router_dir, request(text=""), accuracies={"a": 0.3, "b": 0.8, "c": 0.6})
    assert (ranking.order, ranking.reason) == (("b", "c", "a"), "default_no_text")
    assert ranking.scores == {}


def test_the_reason_states_that_the_scorer_timed_out(router_dir):
    async def run():
        scorer = FakeScorer(SCORES)
        scorer.gate.clear()
        state = make_state(router_dir, ABC)
        router = await make_router(state, scorer, scorer_timeout_s=0.01)
        return await router.rank(request())

    assert asyncio.run(run()).reason == "default_scorer_timeout"


# The zoo changes.


def test_a_candidate_removed_while_the_scorer_worked_is_not_ranked(router_dir):
    async def run():
        scorer = FakeScorer(SCORES)
        state = make_state(router_dir, ABC)
        router = await make_router(state, scorer)
        scorer.gate.clear()
        ranking = asyncio.create_task(router.rank(request()))
        await asyncio.sleep(0)
        await router.follow(next_version(state, ABC[1:]))
        scorer.gate.set()
        return await ranking

    ranking = asyncio.run(run())
    assert (ranking.order, ranking.zoo_version) == (("b", "c"), 2)


def test_scores_of_another_version_of_the_zoo_are_used_and_not_remembered(router_dir):
    async def run():
        scorer = FakeScorer({"a": 0.1, "b": 0.9, "z": 1.0}, version=7)
        router = await make_router(make_state(router_dir, ABC), scorer)
        ranking = await router.rank(request())
        await router.rank(request())
        return ranking.order, len(scorer.texts)

    assert asyncio.run(run()) == (("b", "a"), 2)


# Cold candidates.


def ranked_with_replicas(router_dir, replicas, asked=None, **options):
    surroundings = Surroundings()
    surroundings.replicas = replicas
    ranking = rank(router_dir, asked, surroundings=surroundings, **options)
    return ranking.order, ranking.reason, surroundings.woken


def test_a_running_near_best_candidate_answers_for_a_cold_one(router_dir):
    order, reason, woken = ranked_with_replicas(
        router_dir, {"a": 0, "b": 1}, cold_start_tolerance=0.06
    )
    assert (order, reason, woken) == (("b", "a", "c"), "warm_near_best", ["a"])


def test_a_cold_fallback_comes_after_running_candidates_of_similar_score(router_dir):
    order, reason, woken = ranked_with_replicas(
        router_dir, {"b": 0}, scores={"a": 0.9, "b": 0.7, "c": 0.66}, cold_start_tolerance=0.05
    )
    assert (order, reason, woken) == (("a", "c", "b"), "highest_score", [])


def test_a_cold_fallback_that_is_much_better_keeps_its_place(router_dir):
    assert ranked_with_replicas(router_dir, {"b": 0})[0] == ("a", "b", "c")


def test_each_cold_candidate_comes_after_running_candidates_of_similar_score(router_dir):
    """b leads by 0.1 and keeps its place; c and e pass a; only f is left after d, too far below."""
    scores = {"b": 0.9, "a": 0.8, "c": 0.78, "e": 0.75, "d": 0.8, "f": 0.5}
    surroundings = Surroundings()
    surroundings.replicas = {"a": 0, "b": 0, "d": 0, "c": 2}

    async def run():
        state = make_state(router_dir, [candidate(name) for name in "abcdef"])
        router = await make_router(
            state, FakeScorer(scores), surroundings, cold_start_tolerance=0.0501
        )
        return await router.rank(request())

    assert asyncio.run(run()).order == ("b", "c", "e", "a", "d", "f")


def test_without_scores_a_running_candidate_with_a_similar_card_replaces_a_cold_default(router_dir):
    accuracies = {"a": 0.8, "b": 0.6, "c": 0.78}
    options = {"scores": {}, "accuracies": accuracies, "default_candidate": "a"}
    order, reason, woken = ranked_with_replicas(router_dir, {"a": 0}, **options)
    assert (order, reason, woken) == (("c", "a", "b"), "default_no_finite_score", ["a"])
    order, _, woken = ranked_with_replicas(
        router_dir, {"a": 0}, **options, cold_start_tolerance=0.01
    )
    assert (order, woken) == (("a", "c", "b"), [])


@pytest.mark.parametrize(
    ("replicas", "tolerance", "asked"),
    [
        ({"a": 1}, 0.06, None),
        ({"a": 0}, 0.04, None),  # b is 0.05 worse
        ({"a": 0, "b": 0, "c": 0}, 1.0, None),
        ({"a": 0}, None, None),
        ({"a": 0}, 0.06, request(constraints=Constraints(min_p=0.88))),
    ],
)
def test_otherwise_the_choice_does_not_change(router_dir, replicas, tolerance, asked):
    order, _, woken = ranked_with_replicas(
        router_dir, replicas, asked, cold_start_tolerance=tolerance
    )
    assert (order[0], woken) == ("a", [])


# Sessions.


def in_session(router_dir, held, scores=SCORES, cooled=(), asked=None, margin=0.1, failed=()):
    """Order, reason, and the stored candidate after the first that has not failed answers."""

    async def run():
        surroundings = Surroundings()
        surroundings.sessions = {"s": held}
        surroundings.cooled = set(cooled)
        state, scorer = make_state(router_dir, ABC), FakeScorer(scores)
        router = await make_router(state, scorer, surroundings, sessions={"margin": margin})
        ranking = await router.rank(asked or request(session_id="s"))
        assert surroundings.sessions == {"s": held}  # no candidate has answered yet
        answering = next(name for name in ranking.order if name not in failed)
        router.remember("s", ranking, answering)
        return ranking.order, ranking.reason, surroundings.sessions["s"]

    return asyncio.run(run())


def test_a_session_stays_on_a_candidate_within_the_margin(router_dir):
    assert in_session(router_dir, "b") == (("b", "a", "c"), "session", "b")


def test_a_session_moves_to_a_candidate_that_is_better_by_more_than_the_margin(router_dir):
    assert in_session(router_dir, "c") == (("a", "b", "c"), "highest_score", "a")


def test_a_session_leaves_a_candidate_that_failed_or_was_removed(router_dir):
    assert in_session(router_dir, "b", cooled=["b"])[2] == "a"
    assert in_session(router_dir, "gone")[2] == "a"
    asked = request(session_id="s", constraints=Constraints(models=("a", "c")))
    assert in_session(router_dir, "b", asked=asked)[2] == "a"


def test_a_session_leaves_a_candidate_below_min_p(router_dir):
    asked = request(session_id="s", constraints=Constraints(min_p=0.88))
    assert in_session(router_dir, "b", asked=asked)[2] == "a"


def test_a_new_session_is_stored(router_dir):
    assert in_session(router_dir, None)[2] == "a"


def test_a_session_continues_with_the_candidate_that_answered(router_dir):
    """Not with the candidate that was tried first and failed; in both orders."""
    assert in_session(router_dir, None, failed=["a"])[2] == "b"
    assert in_session(router_dir, "b", failed=["b"])[2] == "a"


def test_a_session_does_not_move_because_scores_are_missing(router_dir):
    order, reason, kept = in_session(router_dir, "c", scores={})
    assert (order[0], reason, kept) == ("c", "default_no_finite_score", "c")
    assert in_session(router_dir, "c", scores={}, failed=["c"])[2] == "c"


def test_without_scores_a_session_leaves_a_candidate_that_failed_recently(router_dir):
    order, _, _ = in_session(router_dir, "c", scores={}, cooled=["c"])
    assert order == ("a", "b", "c")


def test_without_scores_the_session_candidate_comes_before_the_default(router_dir):
    surroundings = Surroundings()
    surroundings.sessions = {"s": "c"}
    asked = request(session_id="s")
    ranking = rank(router_dir, asked, {}, surroundings, default_candidate="b")
    assert ranking.order == ("c", "b", "a")


# Invariants.

PROBABILITIES = st.none() | st.just(math.nan) | st.sampled_from([0.0, 0.3, 0.35, 0.6, 0.65, 1.0])
ZOO = [candidate(name, cost) for name, cost in zip("abcdef", [5, 4, 3, 2, 1, None], strict=True)]
NAMES = st.sets(st.sampled_from("abcdef"))


@given(
    scores=st.dictionaries(
        st.sampled_from("abcdef"), PROBABILITIES.filter(lambda p: p is not None)
    ),
    cooled=NAMES,
    cold=NAMES,
    held=st.none() | st.sampled_from("abcdefz"),
    margin=st.sampled_from([0.0, 0.1, 0.5]),
    constraints=st.builds(
        Constraints,
        models=st.none() | st.just(("a", "[b-d]")),
        max_cost=st.none() | st.just(3.0),
        min_p=st.none() | st.just(0.5),
        tolerance=st.none() | st.just(0.1),
    ),
)
def test_invariants_of_every_ranking(router_dir, scores, cooled, cold, held, margin, constraints):
    async def run():
        surroundings = Surroundings()
        surroundings.cooled, surroundings.replicas = cooled, dict.fromkeys(cold, 0)
        surroundings.sessions = {"s": held}
        router = await make_router(
            make_state(router_dir, ZOO),
            FakeScorer(scores),
            surroundings,
            sessions={"margin": margin},
        )
        asked = request(constraints=constraints, session_id=None if held is None else "s")
        return await router.rank(asked)

    ranking = asyncio.run(run())
    finite = {name: p for name, p in scores.items() if math.isfinite(p)}
    assert sorted([*ranking.order, *ranking.excluded]) == list("abcdef")
    assert ranking.order
    first = ranking.order[0]
    if ranking.reason == "default_no_finite_score":
        assert not set(ranking.order) & set(finite)
        return
    assert set(ranking.order) <= set(finite)
    if constraints.min_p is None:
        for place, name in enumerate(ranking.order):
            for later in ranking.order[place + 1 :] if name in cold else ():
                if later not in cold and (later in cooled) == (name in cooled):
                    assert finite[later] < finite[name] - 0.05 + 1e-6
    healthy = {n: p for n, p in finite.items() if n in ranking.order and n not in cooled}
    if healthy:
        assert first not in cooled
    pool = {name: finite[name] for name in (healthy or ranking.order)}
    best = max(pool.values())
    if ranking.reason == "session":
        assert first == held
        assert best - pool[first] <= margin + 1e-6
    elif ranking.reason == "warm_near_best":
        assert first not in cold
    else:
        costs = {c.name: None if c.price is None else c.price.input_usd_per_mtok for c in ZOO}
        limits = Constraints(min_p=constraints.min_p, tolerance=constraints.tolerance)
        assert first == choose(pool, limits, costs).candidate
