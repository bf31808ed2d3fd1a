"""A sample of own traffic: without near duplicates, and with rare topics in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from modelsat.errors import ArtifactError
from modelsat.grading.graders import check_question
from modelsat.traffic.near_duplicates import near_duplicate_groups
from modelsat.traffic.prompt import Redact, TrafficPrompt
from modelsat.traffic.topics import find_topics


@dataclass(frozen=True)
class Topic:
    """A topic and its share of the sample.

    Attributes:
        name: such as ``topic-07``.
        num_prompts: its prompts, near duplicates not counted.
        num_sampled: those in the sample.
    """

    name: str
    num_prompts: int
    num_sampled: int


@dataclass(frozen=True)
class Sample:
    """A sample of prompts.

    Attributes:
        questions: rows of a questions table; topics take turns, so that any beginning of the list
            has all topics in it.
        topics: the largest first.
        num_read: prompts before near duplicates were removed.
        num_distinct: prompts after that.
        num_emptied: prompts that redaction left without a text.
    """

    questions: tuple[dict[str, Any], ...]
    topics: tuple[Topic, ...]
    num_read: int
    num_distinct: int
    num_emptied: int


def sample_traffic(
    prompts: Iterable[TrafficPrompt],
    *,
    num_prompts: int,
    num_topics: int,
    similarity: float,
    encoder: str,
    default_grader: str,
    redact: Redact | None = None,
    seed: int = 0,
) -> Sample:
    """Sample prompts.

    Args:
        prompts: prompts as they were read.
        num_prompts: size of the sample; fewer if there are fewer distinct prompts.
        num_topics: most topics.
        similarity: similarity from which a prompt repeats an earlier one, 0..1.
        encoder: sentence-transformers model that embeds prompts.
        default_grader: grader of prompts without a gold answer.
        redact: changes every text of a prompt first; None changes nothing.
        seed: of topics and of the draw within each.

    Raises:
        ArtifactError: there is no prompt, or the encoder cannot be loaded.
        ConfigError: ``redact`` failed.
    """
    all_read = list(prompts) if redact is None else [_redacted(one, redact) for one in prompts]
    read = _by_id(prompt for prompt in all_read if prompt.text.strip())
    if not read:
        raise ArtifactError("there is no prompt to ask")
    groups = near_duplicate_groups(
        [prompt.whole_text for prompt in read], [prompt.context for prompt in read], similarity
    )
    distinct = [read[i] for i, first in enumerate(groups) if first == i]
    topics = find_topics([prompt.text for prompt in distinct], num_topics, encoder, seed)
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(topics.topic_Q == t) for t in range(len(topics.names))]
    shares = fair_shares([len(rows) for rows in members], num_prompts)
    drawn = [
        rng.permutation(rows)[:share].tolist() for rows, share in zip(members, shares, strict=True)
    ]
    questions = [
        distinct[i].question(topics.names[t], topics.descriptions[t], default_grader)
        for turn in zip_longest(*drawn)
        for t, i in enumerate(turn)
        if i is not None
    ]
    described = (
        Topic(name, len(rows), share)
        for name, rows, share in zip(topics.names, members, shares, strict=True)
    )
    num_emptied = sum(not prompt.text.strip() for prompt in all_read)
    return Sample(tuple(questions), tuple(described), len(all_read), len(distinct), num_emptied)


def _redacted(prompt: TrafficPrompt, redact: Redact) -> TrafficPrompt:
    """Return a redacted prompt, without its gold answer if redaction has made that unusable."""
    changed = prompt.redacted(redact)
    if not changed.graded.keys() & {"answer", "grader"}:
        return changed
    try:
        check_question(changed.question("", "", default_grader="vote"))
    except ArtifactError:
        return replace(changed, graded={})
    return changed


def _by_id(prompts: Iterable[TrafficPrompt]) -> list[TrafficPrompt]:
    """Return each prompt once, those with a gold answer first: near duplicates follow the first.

    Raises:
        ArtifactError: two tables have different questions of one id.
    """
    ordered = sorted(prompts, key=lambda prompt: not prompt.graded.get("answer"))
    found: dict[str, TrafficPrompt] = {}
    for prompt in ordered:
        first = found.setdefault(prompt.question_id, prompt)
        if first.known_id and first.known_id == prompt.known_id and first.text != prompt.text:
            raise ArtifactError(
                f"two questions tables have different questions of id {prompt.known_id!r}; "
                "rename one"
            )
    return list(found.values())


def fair_shares(sizes: Sequence[int], total: int) -> list[int]:
    """Divide a sample among topics: all get the same, as far as each has enough.

    Args:
        sizes: prompts of each topic.
        total: size of the sample.

    Returns:
        Share of each topic. They add up to ``total``, or to all prompts if there are fewer.

    Example:
        >>> fair_shares([100, 2, 30], 12)
        [5, 2, 5]
    """
    shares = [0] * len(sizes)
    left = min(total, sum(sizes))
    while left:
        open_topics = [i for i, size in enumerate(sizes) if shares[i] < size]
        each = max(1, left // len(open_topics))
        for i in open_topics:
            more = min(each, sizes[i] - shares[i], left)
            shares[i] += more
            left -= more
    return shares
