"""Who starts next on a cluster of two kinds of machine, worked by hand."""

from typing import Any

import pytest

from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.engines.vllm import VllmCandidate
from profiling.packing import choose_next, needs

TOTAL = {"CPU": 32.0, "GPU": 8.0, "accelerator_type:L4": 1.0}
SMALL = {"CPU": 1.0, "GPU": 1.0}
BIG = {"CPU": 1.0, "GPU": 8.0}
HUGE = {"CPU": 1.0, "GPU": 16.0}
OTHER_KIND = {"GPU": 1.0, "accelerator_type:H100": 0.001}


def _local(**llm_config: Any) -> VllmCandidate:
    return VllmCandidate(
        name="near",
        engine="vllm",
        context_window=64,
        llm_config={"model_loading_config": {"model_source": "hub/id"}, **llm_config},
    )


@pytest.mark.parametrize(
    ("llm_config", "expected"),
    [
        ({}, {"GPU": 2.0, "CPU": 1.0}),
        ({"engine_kwargs": {"tensor_parallel_size": 4}}, {"GPU": 8.0, "CPU": 1.0}),
        (
            {"engine_kwargs": {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}},
            {"GPU": 8.0, "CPU": 1.0},
        ),
        (
            {"placement_group_config": {"bundles": [{"CPU": 1}, {"CPU": 2, "GPU": 1}]}},
            {"CPU": 7.0, "GPU": 2.0},
        ),
        (
            {
                "placement_group_config": {"bundle_per_worker": {"CPU": 1, "GPU": 1}},
                "engine_kwargs": {"tensor_parallel_size": 2},
            },
            {"CPU": 5.0, "GPU": 4.0},
        ),
        (
            {"accelerator_type": "L4"},
            {"GPU": 2.0, "CPU": 1.0, "accelerator_type:L4": 0.002},
        ),
    ],
)
def test_resources_of_two_replicas_and_their_stages(
    llm_config: dict[str, Any], expected: dict[str, float]
) -> None:
    assert needs(_local(**llm_config), 2) == pytest.approx(expected)


def test_remote_candidate_needs_almost_no_resources() -> None:
    far = OpenAICandidate(
        name="far", engine="openai", base_url="http://far.test", model="m", context_window=64
    )
    assert needs(far, 4) == {"CPU": 2.0}


def _order(waiting: list[dict[str, float]], **state: Any) -> list[tuple[int, bool]]:
    """Indices of waiting candidates in the order in which they start, if none ends."""
    running = list(state.get("running", []))
    left = list(enumerate(waiting))
    started = []
    while left:
        chosen = choose_next(
            [needed for _, needed in left], running, TOTAL, state.get("available", TOTAL)
        )
        if chosen is None:
            break
        place, needed = left.pop(chosen[0])
        started.append((place, chosen[1]))
        if chosen[1]:
            running.append(needed)
    return started


def test_small_candidates_overtake_a_big_one() -> None:
    assert _order([SMALL, BIG, SMALL, SMALL]) == [(0, True), (2, True), (3, True)]


def test_big_candidate_starts_after_the_others_end() -> None:
    assert _order([BIG], running=[SMALL]) == []
    assert _order([BIG]) == [(0, True)]


@pytest.mark.parametrize("absent", [HUGE, OTHER_KIND])
def test_oversized_candidate_is_requested_and_blocks_no_other(
    absent: dict[str, float],
) -> None:
    assert _order([absent, BIG, SMALL]) == [(1, True), (0, False)]


def test_resources_of_other_jobs_are_not_free() -> None:
    used = {"CPU": 32.0, "GPU": 0.0, "accelerator_type:L4": 1.0}
    assert _order([SMALL], running=[SMALL], available=used) == []
    assert _order([SMALL], available=used) == [(0, True)]  # nothing of ours to wait for
