import asyncio

import pytest

from serve_app.config import RoutingOptions
from serve_app.routing.score_source import NoScores, ScoreSource
from serve_app.routing.zoo_table import build_table
from tests.support.serve_app.small_zoo import Clock, FakeScorer, candidate, make_state

AB = [candidate("a"), candidate("b")]


def run(router_dir, scenario, **options):
    async def main():
        scorer, clock = FakeScorer({"a": 0.25, "b": 0.5}), Clock()
        source = ScoreSource(scorer, RoutingOptions(**options), clock)
        table = build_table(make_state(router_dir, AB))
        return await scenario(source, table, scorer, clock)

    return asyncio.run(main())


async def reason(source, table, text):
    try:
        await source.scores(text, table)
    except NoScores as error:
        return error.reason
    return None


def test_scores_are_in_the_order_of_the_zoo(router_dir):
    async def scenario(source, table, scorer, clock):
        return (await source.scores("Why?", table)).tolist()

    assert run(router_dir, scenario) == [0.25, 0.5]


def test_a_text_seen_before_is_not_scored_again(router_dir):
    async def scenario(source, table, scorer, clock):
        first = await source.scores("Why?", table)
        again = await source.scores("Why?", table)
        await source.scores("Who?", table)
        return scorer.texts, first.tolist() == again.tolist(), source.num_hits, source.num_misses

    assert run(router_dir, scenario) == (["Why?", "Who?"], True, 1, 2)


def test_texts_that_the_router_reads_alike_share_a_cache_entry(router_dir):
    async def scenario(source, table, scorer, clock):
        await source.scores("x" * 5_000, table)
        await source.scores("x" * 1_000_000, table)
        return [len(text) for text in scorer.texts]

    assert run(router_dir, scenario) == [16 * 128]


def test_a_new_version_of_the_zoo_is_scored_again(router_dir):
    async def scenario(source, table, scorer, clock):
        await source.scores("Why?", table)
        scorer.answer = type(scorer.answer)(2, {"a": 1.0, "b": 0.0})
        newer = build_table(make_state(router_dir, AB, version=2))
        return (await source.scores("Why?", newer)).tolist()

    assert run(router_dir, scenario) == [1.0, 0.0]


def test_equal_texts_at_the_same_time_share_one_call(router_dir):
    async def scenario(source, table, scorer, clock):
        scorer.gate.clear()
        calls = [asyncio.create_task(source.scores("Why?", table)) for _ in range(5)]
        await asyncio.sleep(0)
        calls[0].cancel()  # the first caller gives up; the others still get their answer
        await asyncio.sleep(0)
        scorer.gate.set()
        answers = await asyncio.gather(*calls[1:])
        return scorer.texts, [answer.tolist() for answer in answers]

    assert run(router_dir, scenario, cache_cells=0) == (["Why?"], [[0.25, 0.5]] * 4)


def test_a_failure_reaches_every_caller_that_shares_the_call(router_dir):
    async def scenario(source, table, scorer, clock):
        scorer.is_dead = True
        return await asyncio.gather(*(reason(source, table, "Why?") for _ in range(3)))

    assert run(router_dir, scenario) == ["default_scorer_failed"] * 3


def test_no_request_waits_for_a_scorer_that_is_known_to_be_dead(router_dir):
    async def scenario(source, table, scorer, clock):
        scorer.gate.clear()
        reasons = [await reason(source, table, f"{n}?") for n in range(2)]
        scorer.texts.clear()
        reasons += [await reason(source, table, f"{n}?") for n in range(5)]
        return reasons, scorer.texts

    # If the test waited for the scorer, it would take an hour.
    reasons, asked = run(router_dir, scenario, scorer_timeout_s=0.01, scorer_failures=2)
    assert reasons == ["default_scorer_timeout"] * 7
    assert asked == []


def test_a_dead_scorer_is_tried_once_per_pause_and_used_again_when_it_answers(router_dir):
    async def scenario(source, table, scorer, clock):
        scorer.is_dead = True
        for n in range(2):
            await reason(source, table, f"{n}?")
        scorer.texts.clear()
        clock.now_s += 5
        reasons = [await reason(source, table, text) for text in ("trial 1", "other")]
        await asyncio.sleep(0)  # the trial fails
        clock.now_s += 5
        scorer.is_dead = False
        reasons.append(await reason(source, table, "trial 2"))
        await asyncio.sleep(0)
        reasons.append(await reason(source, table, "new"))
        return scorer.texts, reasons

    asked, reasons = run(router_dir, scenario, scorer_failures=2, scorer_pause_s=5)
    assert asked == ["trial 1", "trial 2", "new"]
    assert reasons == ["default_scorer_failed"] * 3 + [None]


def test_failures_with_a_success_between_do_not_add_up(router_dir):
    async def scenario(source, table, scorer, clock):
        for n in range(4):
            scorer.is_dead = n % 2 == 0
            await reason(source, table, f"{n}?")
        return len(scorer.texts)

    assert run(router_dir, scenario, scorer_failures=2) == 4


def test_an_explanation_has_the_same_limits(router_dir):
    async def scenario(source, table, scorer, clock):
        explained = await source.explain("x" * 1_000_000, table, 1)
        lengths = [len(text) for text in scorer.texts]
        scorer.gate.clear()
        with pytest.raises(NoScores, match="default_scorer_timeout"):
            await source.explain("Why?", table, 1)
        return explained.by_candidate, lengths

    expected = ({"a": 0.25, "b": 0.5}, [16 * 128])
    assert run(router_dir, scenario, scorer_timeout_s=0.01) == expected
