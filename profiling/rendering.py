"""A question becomes the token ids that a candidate's engine continues."""

from functools import lru_cache
from string import ascii_uppercase
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.prompts import ANSWER_DELIMITER, TEMPERATURE, Prompts
from modelsat.errors import ZooError
from modelsat.zoo.engines.vllm import VllmCandidate

# How every answer is sampled; part of the hash that decides whether finished work holds.
PROMPT_SETTINGS: dict[str, Any] = {"temperature": TEMPERATURE}

# Stands for a short answer's absent n_choices on the way through the engine: Ray Data's row
# stages would turn a null among integers into a NaN, and the integers into floats.
NO_CHOICES = 0
# The question's text on the way through the engine, whose own column "prompt" would replace it.
QUESTION = "question"
# Token ids of the options' letters, where their likelihood is asked for; else empty.
OPTION_TOKENS = "option_tokens"


def render_prompts(questions: pa.Table, candidate: VllmCandidate, prompts: Prompts) -> pa.Table:
    """Add ``tokenized_prompt`` and :data:`OPTION_TOKENS`; the text moves to :data:`QUESTION`.

    Token ids rather than text go to the engine: it would add special tokens to a text whose
    chat template has put them there already, unlike when the same candidate is served.

    Args:
        questions: columns question_id, task, prompt, answer, n_choices.
        candidate: whose tokenizer and chat template apply.
        prompts: how questions are put.

    Raises:
        ZooError: the candidate has no readable tokenizer, no chat template where it is asked
            for, or no single token for an option's letter.
    """
    tokenizer = load_tokenizer(candidate, needs_template=prompts.chat_template)
    n_choices = pc.fill_null(questions["n_choices"], NO_CHOICES).to_pylist()
    rows = zip(questions["task"].to_pylist(), questions["prompt"].to_pylist(), strict=True)
    texts = [render_text(tokenizer, prompts, task, prompt) for task, prompt in rows]
    ids = [encode(tokenizer, prompts, text) for text in texts]
    letters: list[int] = []
    if prompts.scoring == "loglikelihood" and texts:
        letters = _letter_tokens(tokenizer, prompts, texts[0], max(n_choices), candidate.name)
    return pa.table(
        {
            "question_id": questions["question_id"],
            QUESTION: questions["prompt"],
            "answer": questions["answer"],
            "n_choices": pa.array(n_choices, type=pa.int32()),
            "tokenized_prompt": pa.array(ids, type=pa.list_(pa.int64())),
            OPTION_TOKENS: pa.array([letters[:n] for n in n_choices], type=pa.list_(pa.int64())),
        }
    )


def render_text(tokenizer: Any, prompts: Prompts, task: str, prompt: str) -> str:
    """The text that a candidate continues with its answer."""
    if not prompts.chat_template:
        return prompts.plain_text(task, prompt)
    text: str = tokenizer.apply_chat_template(
        prompts.messages(task, prompt), add_generation_prompt=True, tokenize=False
    )
    return text


def encode(tokenizer: Any, prompts: Prompts, text: str) -> list[int]:
    """Token ids of a rendered text; a chat template has put the special tokens there already."""
    ids: list[int] = tokenizer(text, add_special_tokens=not prompts.chat_template)["input_ids"]
    return ids


def _letter_tokens(
    tokenizer: Any, prompts: Prompts, text: str, num_letters: int, name: str
) -> list[int]:
    """The token that each option's letter is after a rendered text.

    The same after every text, as all of them end alike. Encoded with the text before it, as
    lm-eval does: a tokenizer may have two tokens for a letter, one of them with a blank.
    """
    before = encode(tokenizer, prompts, text)
    tokens = []
    for letter in ascii_uppercase[:num_letters]:
        whole = encode(tokenizer, prompts, text + ANSWER_DELIMITER[prompts.chat_template] + letter)
        if whole[:-1] != before:
            raise ZooError(
                f"candidate {name!r}: the letter {letter} of an option is no single token of its "
                "own after a prompt; profile it with scoring generated"
            )
        tokens.append(whole[-1])
    if len(set(tokens)) < len(tokens):
        raise ZooError(
            f"candidate {name!r}: its tokenizer has one token for several of the letters "
            f"A to {ascii_uppercase[num_letters - 1]}; profile it with scoring generated"
        )
    return tokens


def load_tokenizer(candidate: VllmCandidate, *, needs_template: bool = True) -> Any:
    """The candidate's tokenizer, kept for the life of the process.

    Raises:
        ZooError: it cannot be loaded, or has no chat template where one is needed.
    """
    options = candidate.engine_kwargs
    trusted = bool(options.get("trust_remote_code", False))
    source = options.get("tokenizer") or candidate.source
    # As vLLM has it: the weights' revision is the tokenizer's too, unless it has one of its own.
    revision = options.get("tokenizer_revision") or options.get("revision")
    try:
        tokenizer = _load_tokenizer(str(source), revision, trusted)
    except (OSError, ValueError, KeyError) as error:
        raise ZooError(
            f"candidate {candidate.name!r}: no tokenizer can be read from {source}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from None
    if needs_template and not tokenizer.chat_template:
        raise ZooError(
            f"candidate {candidate.name!r}: its tokenizer has no chat template; add a "
            f"chat_template to the tokenizer of {source}, or ask with prompt.chat_template: false"
        )
    return tokenizer


@lru_cache(maxsize=4)
def _load_tokenizer(source: str, revision: str | None, trust_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        source, revision=revision or "main", trust_remote_code=trust_remote_code
    )
