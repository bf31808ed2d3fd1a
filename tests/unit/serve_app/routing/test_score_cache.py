import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serve_app.routing.score_source import ScoreCache

ENTRY = 103  # three scores, and an overhead of 100


def scores(value):
    return np.full(3, value, dtype=np.float32)


def test_the_least_recently_used_entry_is_evicted_first():
    cache = ScoreCache(2 * ENTRY)
    cache.put(b"a", 1, scores(1))
    cache.put(b"b", 1, scores(2))
    assert cache.get(b"a", 1) is not None
    cache.put(b"c", 1, scores(3))
    assert cache.get(b"b", 1) is None
    assert cache.get(b"a", 1).tolist() == [1, 1, 1]


def test_an_older_version_is_forgotten_and_does_not_come_back():
    cache = ScoreCache(10 * ENTRY)
    cache.put(b"a", 1, scores(1))
    cache.put(b"b", 2, scores(2))
    cache.put(b"c", 1, scores(3))
    assert [cache.get(key, version) for key in (b"a", b"c") for version in (1, 2)] == [None] * 4
    assert cache.get(b"b", 2) is not None


def test_a_cache_of_size_zero_stores_nothing():
    cache = ScoreCache(0)
    cache.put(b"a", 1, scores(1))
    assert cache.get(b"a", 1) is None


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.integers(1, 3))))
def test_the_cache_holds_the_newest_entries_up_to_its_size(puts):
    cache = ScoreCache(2 * ENTRY)
    kept = {}
    version = 0
    for key, at in puts:
        cache.put(key, at, scores(at))
        if at > version:
            kept, version = {}, at
        if at == version:
            kept.pop(key, None)
            kept[key] = at
            kept = dict(list(kept.items())[-2:])
        assert len(cache) == len(kept)
    assert all(cache.get(key, version) is not None for key in kept)
