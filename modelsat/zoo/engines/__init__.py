"""The engines that a zoo file may name: one module each, and the table of them."""

from collections.abc import Mapping
from typing import Any

from modelsat.zoo.candidate import Candidate
from modelsat.zoo.engines.openai import OpenAICandidate
from modelsat.zoo.engines.vllm import VllmCandidate

CANDIDATE_TYPES: dict[str, type[Candidate]] = {
    "vllm": VllmCandidate,
    "openai": OpenAICandidate,
}


def parse_candidate(entry: Any) -> Candidate:
    """Return the candidate that an entry of a zoo file describes.

    Args:
        entry: mapping of an entry's fields; a finished candidate is returned as it is.

    Raises:
        ValueError: the entry names no known engine, or its engine refuses a field
            (``pydantic.ValidationError``).
    """
    if isinstance(entry, Candidate):
        return entry
    engine = entry.get("engine") if isinstance(entry, Mapping) else None
    candidate_type = CANDIDATE_TYPES.get(engine) if isinstance(engine, str) else None
    if candidate_type is None:
        known = ", ".join(CANDIDATE_TYPES)
        raise ValueError(f"engine {engine!r} is unknown; a candidate's engine is one of {known}")
    return candidate_type.model_validate(entry)
