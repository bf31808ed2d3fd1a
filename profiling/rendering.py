"""A question becomes the token ids that a candidate's engine continues."""

from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.errors import ZooError
from modelsat.zoo import VllmCandidate

# How questions are put, greedily; part of the hash that decides whether finished work holds.
PROMPT_SETTINGS: dict[str, Any] = {
    "form": "chat template, one user message",
    "shots": 0,
    "temperature": 0.0,
}

# Stands for a short answer's absent n_choices on the way through the engine: Ray Data's row
# stages would turn a null among integers into a NaN, and the integers into floats.
NO_CHOICES = 0
# The question's text on the way through the engine, whose own column "prompt" would replace it.
QUESTION = "question"


def render_prompts(questions: pa.Table, candidate: VllmCandidate) -> pa.Table:
    """Add the column ``tokenized_prompt``; the text moves to the column :data:`QUESTION`.

    Token ids rather than text go to the engine: it would add special tokens to a text whose
    chat template has put them there already, unlike when the same candidate is served.

    Args:
        questions: columns question_id, prompt, answer, n_choices.
        candidate: whose chat template applies.

    Raises:
        ZooError: the candidate has no readable tokenizer or no chat template.
    """
    tokenizer = load_tokenizer(candidate)
    ids = [render_prompt(tokenizer, prompt) for prompt in questions["prompt"].to_pylist()]
    return pa.table(
        {
            "question_id": questions["question_id"],
            QUESTION: questions["prompt"],
            "answer": questions["answer"],
            "n_choices": pc.fill_null(questions["n_choices"], NO_CHOICES),
            "tokenized_prompt": pa.array(ids, type=pa.list_(pa.int64())),
        }
    )


def render_prompt(tokenizer: Any, prompt: str) -> list[int]:
    """Token ids of one user message and the opening of the answer."""
    ids: list[int] = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
    )
    return ids


def load_tokenizer(candidate: VllmCandidate) -> Any:
    """The candidate's tokenizer, kept for the life of the process.

    Raises:
        ZooError: it cannot be loaded or has no chat template.
    """
    trusted = bool(candidate.engine_kwargs.get("trust_remote_code", False))
    source = candidate.engine_kwargs.get("tokenizer") or candidate.model_source
    try:
        tokenizer = _load_tokenizer(str(source), trusted)
    except (OSError, ValueError, KeyError) as error:
        raise ZooError(
            f"candidate {candidate.name!r}: no tokenizer can be read from {source}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from None
    if not tokenizer.chat_template:
        raise ZooError(
            f"candidate {candidate.name!r}: its tokenizer has no chat template; add a "
            f"chat_template to the tokenizer of {source}"
        )
    return tokenizer


@lru_cache(maxsize=4)
def _load_tokenizer(source: str, trust_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
