import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from modelsat.capability.cards import Card, Statement
from modelsat.errors import ArtifactError
from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.contracts.scores import ExplainedScores, Scores, StatementNote
from serve_app.contracts.zoo_state import ZooState
from serve_app.scoring.engine import ScoringEngine, padded_little


class FakeScorer:
    """Scores a text by its length and a card by its accuracy; waits where the test says so."""

    def __init__(self, directory, gate=None):
        self.factor = float(directory)
        self.gate = gate
        self.num_forward_passes = 0
        self.router = SimpleNamespace(
            config=SimpleNamespace(max_instruction_tokens=4, max_encoder_tokens=2)
        )

    def score(self, texts, cards):
        self.num_forward_passes += bool(texts)
        if self.gate is not None and texts and "wait" in texts[0]:
            self.gate.wait(timeout=30)
        lengths, accuracies = [len(t) for t in texts], [c.accuracy_fraction for c in cards]
        return self.factor * np.outer(lengths, accuracies).astype(np.float32)

    def explain(self, text, cards, top_k):
        scores = self.score([text], cards)[0]
        return tuple(
            SimpleNamespace(
                p_correct=float(score),
                statements=[
                    SimpleNamespace(
                        task=s.task, relevance_fraction=1.0, accuracy_fraction=0.5, num_shots=20
                    )
                    for s in card.statements[:top_k]
                ],
            )
            for score, card in zip(scores, cards, strict=True)
        )


def state(names, version=1, router="1"):
    zoo = Zoo(
        version=1,
        candidates=tuple(
            OpenAICandidate(
                name=name, engine="openai", base_url="http://h/v1", model="m", context_window=9
            )
            for name in ("x", "y", "z")
        ),
    )
    statement = Statement("sums", "adding", num_correct=10, num_shots=20)
    cards = tuple(Card(name, "0" * 16, (statement,)) for name in names)
    return ZooState(version, zoo, cards, router)


def run(scenario, load=FakeScorer, **options):
    async def main():
        engine = ScoringEngine(load, max_batch_size=4, **options)
        await engine.follow(state("xy"))
        return await scenario(engine)

    return asyncio.run(main())


def test_texts_are_scored_for_every_card():
    async def scenario(engine):
        return await asyncio.gather(engine.score("ab"), engine.score("abcd"))

    first, second = run(scenario)
    assert first == Scores(1, {"x": 1.0, "y": 1.0})
    assert second == Scores(1, {"x": 2.0, "y": 2.0})


def test_concurrent_texts_share_one_pass_and_warm_up_is_not_counted():
    async def scenario(engine):
        before = engine.num_forward_passes
        await asyncio.gather(*(engine.score("ab") for _ in range(4)))
        return before, engine.num_forward_passes

    assert run(scenario) == (0, 1)


def test_each_pass_reports_its_number_of_texts():
    passes = []

    async def main():
        engine = ScoringEngine(FakeScorer, 4, on_pass=lambda *one: passes.append(one))
        await engine.follow(state("xy"))
        await asyncio.gather(*(engine.score("ab") for _ in range(4)))
        await engine.score("ab")

    asyncio.run(main())
    assert [num_texts for num_texts, _ in passes] == [4, 1]
    assert all(duration_s >= 0 for _, duration_s in passes)


def test_only_the_start_of_a_long_text_is_read():
    async def scenario(engine):
        scores = await engine.score("a" * 1_000_000)
        return scores.by_candidate["x"]

    assert run(scenario) == 0.5 * 16 * 4


def test_changed_cards_do_not_reload_the_router():
    loaded = []

    def load(directory):
        loaded.append(directory)
        return FakeScorer(directory)

    async def scenario(engine):
        await engine.follow(state("xz", version=2))
        return await engine.score("ab")

    assert run(scenario, load) == Scores(2, {"x": 1.0, "z": 1.0})
    assert loaded == ["1"]


def test_texts_are_scored_while_another_router_loads():
    may_load = threading.Event()

    def load(directory):
        if directory == "2":
            may_load.wait(timeout=30)
        return FakeScorer(directory)

    async def scenario(engine):
        change = asyncio.create_task(engine.follow(state("xy", version=2, router="2")))
        meanwhile = await engine.score("ab")
        may_load.set()
        await change
        return meanwhile, await engine.score("ab"), engine.num_forward_passes

    meanwhile, after, passes = run(scenario, load)
    assert meanwhile == Scores(1, {"x": 1.0, "y": 1.0})
    assert after == Scores(2, {"x": 2.0, "y": 2.0})
    assert passes == 1


def test_a_lone_text_has_all_threads_and_others_have_one_each():
    numbers = []

    async def main():
        engine = ScoringEngine(
            FakeScorer, max_batch_size=4, num_threads=2, set_num_threads=numbers.append
        )
        await engine.follow(state("xy"))
        numbers.clear()
        await engine.score("ab")
        await asyncio.gather(*(engine.score("ab") for _ in range(4)))
        await engine.explain("ab", 1)

    asyncio.run(main())
    assert numbers == [2, 1, 1, 1]


def test_a_router_is_loaded_and_asked_in_one_thread_that_ends_with_it():
    threads = []

    class Watched(FakeScorer):
        def __init__(self, directory):
            threads.append((directory, threading.current_thread()))
            super().__init__(directory)

        def score(self, texts, cards):
            threads.append((str(int(self.factor)), threading.current_thread()))
            return super().score(texts, cards)

    async def scenario(engine):
        await engine.score("ab")
        await engine.follow(state("xyz", version=2))
        await engine.follow(state("xy", version=3, router="2"))
        await engine.score("ab")

    run(scenario, load=Watched)
    of_first = {thread for router, thread in threads if router == "1"}
    of_second = {thread for router, thread in threads if router == "2"}
    assert len(of_first) == len(of_second) == 1
    assert of_first != of_second
    (first,) = of_first
    first.join(timeout=10)
    assert not first.is_alive()


def test_a_refused_router_keeps_the_previous_one():
    def load(directory):
        if directory == "2":
            raise ArtifactError("router 2 is corrupt")
        return FakeScorer(directory)

    async def scenario(engine):
        with pytest.raises(ArtifactError):
            await engine.follow(state("xy", version=2, router="2"))
        return await engine.score("ab")

    assert run(scenario, load).zoo_version == 1


def test_a_zoo_without_cards_has_no_scores():
    async def scenario(engine):
        await engine.follow(state("", version=2))
        return await engine.score("ab"), await engine.explain("ab", 1)

    assert run(scenario) == (Scores(2, {}), ExplainedScores(2, {}))


def test_an_explanation_names_the_statements_of_each_card():
    async def scenario(engine):
        return await engine.explain("ab", 1)

    note = StatementNote("sums", 1.0, 0.5, 20)
    assert run(scenario) == ExplainedScores(1, {"x": 1.0, "y": 1.0}, {"x": (note,), "y": (note,)})


def test_requests_are_taken_while_a_pass_runs():
    gate = threading.Event()

    async def scenario(engine):
        slow = asyncio.create_task(engine.score("wait"))
        while engine.num_forward_passes == 0:
            await asyncio.sleep(0)
        others = [asyncio.create_task(engine.score("ab")) for _ in range(3)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(slow, *others)
        return engine.num_forward_passes

    assert run(scenario, lambda directory: FakeScorer(directory, gate)) == 2


@pytest.mark.parametrize(("even_lengths", "passes"), [(True, [2, 1]), (False, [3])])
def test_only_texts_of_similar_length_share_a_pass(even_lengths, passes):
    passed = []

    async def scenario(engine):
        engine._served.scorer.router.config.max_instruction_tokens = 1000
        texts = ("a" * 10, "a" * 300, "a" * 60)
        scores = await asyncio.gather(*(engine.score(text) for text in texts))
        return [score.by_candidate["x"] for score in scores]

    scores = run(
        scenario, even_lengths=even_lengths, on_pass=lambda num_texts, _: passed.append(num_texts)
    )
    assert (scores, passed) == ([5, 150, 30], passes)


@pytest.mark.parametrize(
    ("one", "other", "shares"),
    [(0, 128, True), (0, 129, False), (200, 300, True), (301, 200, False), (128, 192, True)],
)
def test_lengths_that_share_a_pass(one, other, shares):
    assert padded_little(one, other) is shares
