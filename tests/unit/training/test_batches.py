"""Batches: each worker's share, and composite candidates that match their cards."""

import numpy as np

from modelsat.training.batches import BatchSampler
from tests.support.router_parts import TOPICS, make_matrix


def sampler(**changes):
    options = {"batch_size": 16, "composites": 40, "seed": 3, **changes}
    return BatchSampler([make_matrix()], **options)


def test_workers_share_an_epoch_without_overlap():
    parts = [sampler(rank=rank, num_workers=3) for rank in range(3)]
    seen = [{text for batch in part.epoch(1) for text in batch.instructions} for part in parts]
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]
    assert sum(map(len, seen)) == parts[0].steps_per_epoch * 3 * 16


def test_batches_depend_on_the_seed():
    first, second = list(sampler().epoch(1)), list(sampler().epoch(1))
    for one, two in zip(first, second, strict=True):
        assert one.instructions == two.instructions
        assert np.array_equal(one.weights, two.weights)
        assert np.array_equal(one.correct, two.correct, equal_nan=True)
    assert next(sampler(seed=4).epoch(1)).instructions != first[0].instructions
    assert next(sampler().epoch(2)).instructions != first[0].instructions


def test_real_candidates_come_first_and_unchanged():
    matrix = make_matrix()
    row_of = {text: i for i, text in enumerate(matrix.instructions)}
    for batch in sampler().epoch(1):
        rows = [row_of[text] for text in batch.instructions]
        assert np.array_equal(batch.correct[:, :3], matrix.correct_QM[rows])


def test_composites_answer_as_often_as_their_cards_state():
    matrix = make_matrix()
    topic_of = dict(zip(matrix.instructions, matrix.tasks, strict=True))
    stated, answered = [], []
    for epoch in range(1, 9):
        for batch in sampler(composites=60).epoch(epoch):
            columns = [TOPICS.index(topic_of[text]) for text in batch.instructions]
            stated.append(batch.weights[3:][:, columns].T.ravel())
            answered.append(batch.correct[:, 3:].ravel())
    evidence, correct = np.concatenate(stated), np.concatenate(answered)
    share = 1 / (1 + np.exp(-evidence))
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (share >= low) & (share < low + 0.2)
        assert inside.sum() > 500
        # Cards of the real candidates say 1 or 19 of 20 where the outcomes are 0 or 1, and
        # evidence is shrunk: a gap of a few points remains by construction.
        assert abs(correct[inside].mean() - share[inside].mean()) < 0.08


def test_composites_have_no_outcome_outside_the_core_tasks():
    matrix = make_matrix()
    other = type(matrix)(**{**vars(matrix), "tasks": ("elsewhere",) * len(matrix)})
    for batch in BatchSampler([other], batch_size=16, composites=5, seed=0).epoch(1):
        assert np.isnan(batch.correct[:, 3:]).all()
        assert not np.isnan(batch.correct[:, :3]).any()


def test_each_batch_comes_from_one_source_and_small_sources_repeat():
    large, small = make_matrix(per_topic=40), make_matrix(per_topic=3)
    both = BatchSampler([large, small], batch_size=16, composites=4, seed=0)
    seen = [[], []]
    for batch in both.epoch(1):
        assert set(batch.instructions) <= set((large, small)[batch.source].instructions)
        assert len(batch.instructions) == 16
        seen[batch.source] += batch.instructions
    assert sorted(seen[0]) == sorted(large.instructions)
    assert set(seen[1]) == set(small.instructions)
    assert both.steps_per_epoch == 10 + 1


def test_instructions_of_a_batch_have_similar_lengths():
    matrix = make_matrix(per_topic=160)
    lengths = np.random.default_rng(0).integers(1, 400, size=len(matrix))
    texts = tuple(f"{i} " + "x" * length for i, length in enumerate(lengths))
    padded = type(matrix)(**{**vars(matrix), "instructions": texts})
    batches = list(BatchSampler([padded], batch_size=16, composites=0, seed=0).epoch(1))
    widths = [[len(text) for text in batch.instructions] for batch in batches]
    waste = 1 - sum(map(sum, widths)) / sum(max(w) * len(w) for w in widths)
    assert waste < 0.1
    assert widths != sorted(widths)


def test_max_steps_ends_an_epoch_early():
    short = sampler(max_steps=3)
    assert short.steps_per_epoch == 3
    whole = [batch.instructions for batch in sampler().epoch(1)]
    assert [batch.instructions for batch in short.epoch(1)] == whole[:3]


def test_batch_has_the_index_of_each_instructions_statement():
    matrix = make_matrix()
    topic_of = dict(zip(matrix.instructions, matrix.tasks, strict=True))
    for batch in sampler().epoch(1):
        places = [TOPICS.index(topic_of[text]) for text in batch.instructions]
        assert batch.statement.tolist() == places
