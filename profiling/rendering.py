"""From a question to the token ids that an engine continues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from string import ascii_uppercase
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelsat.aptitude.images import embedded_images
from modelsat.aptitude.prompts import ANSWER_DELIMITER, Prompts
from modelsat.errors import ZooError

# Stand for nulls while a question passes through the engine: row stages of Ray Data would turn a
# null among integers into NaN, and the integers into floats.
_FILLED = {"n_choices": 0, "grader": "", "grader_args": "", "request": ""}
_BETWEEN_IMAGES = "\n"
# The question's text while it passes through the engine, which overwrites a column "prompt".
QUESTION = "question"
# Token ids of the options' letters if their likelihoods are compared; else empty.
OPTION_TOKENS = "option_tokens"


@dataclass(frozen=True)
class TokenizerSource:
    """The source of a candidate's tokenizer.

    Attributes:
        candidate: the candidate's name, for error messages.
        source: hub id or directory.
        revision: revision of a hub id; None for the default.
        trust_remote_code: whether the tokenizer may run code of its own repository.
        template_arguments: arguments of the chat template, such as ``enable_thinking``, and
            ``chat_template`` in place of the tokenizer's own.
    """

    candidate: str
    source: str
    revision: str | None = None
    trust_remote_code: bool = False
    template_arguments: Mapping[str, Any] = field(default_factory=dict)


def fill_nulls(questions: pa.Table) -> pa.Table:
    """Return the questions with nulls replaced: 0 options, empty texts, images as one text."""
    place = questions.schema.get_field_index("images")
    images = pc.fill_null(pc.binary_join(questions["images"], _BETWEEN_IMAGES), "")
    questions = questions.set_column(place, "images", images)
    for name, value in _FILLED.items():
        place = questions.schema.get_field_index(name)
        questions = questions.set_column(place, name, pc.fill_null(questions[name], value))
    return questions


def render_prompts(
    questions: pa.Table, source: TokenizerSource, prompts: Prompts, folders: Sequence[str] = ()
) -> tuple[pa.Table, list[list[bytes]]]:
    """Add ``tokenized_prompt`` and :data:`OPTION_TOKENS`; the text moves to :data:`QUESTION`.

    The engine receives token ids, not text: it would add special tokens to a text that has them
    from its chat template already, which does not happen when the same candidate is served.

    Args:
        questions: columns question_id, task, prompt, answer, n_choices, grader, grader_args,
            request, images, as :func:`fill_nulls` makes them.
        source: tokenizer and chat template of the candidate.
        prompts: how questions are put.
        folders: folders of the questions tables, for images.

    Returns:
        The table, and the content of the images of each question, in their order.

    Raises:
        ZooError: the tokenizer cannot be loaded, has no chat template although ``prompts`` asks
            for it, or has no single token for an option's letter.
    """
    tokenizer = load_tokenizer(source, needs_template=prompts.chat_template)
    n_choices = questions["n_choices"].to_pylist()
    rows = questions.select(["task", "prompt", "request", "images"]).to_pylist()
    arguments = source.template_arguments
    rendered = [render_text(tokenizer, prompts, row, arguments, folders) for row in rows]
    texts = [text for text, _ in rendered]
    ids = [encode(tokenizer, prompts, text) for text in texts]
    letters: list[int] = []
    if prompts.scoring == "loglikelihood" and texts:
        letters = _letter_tokens(tokenizer, prompts, texts[0], max(n_choices), source.candidate)
    table = pa.table(
        {
            "question_id": questions["question_id"],
            QUESTION: questions["prompt"],
            "answer": questions["answer"],
            "n_choices": pa.array(n_choices, type=pa.int32()),
            "grader": questions["grader"],
            "grader_args": questions["grader_args"],
            "request": questions["request"],
            "tokenized_prompt": pa.array(ids, type=pa.list_(pa.int64())),
            OPTION_TOKENS: pa.array([letters[:n] for n in n_choices], type=pa.list_(pa.int64())),
        }
    )
    return table, [images for _, images in rendered]


def render_text(
    tokenizer: Any,
    prompts: Prompts,
    row: Mapping[str, Any],
    template_arguments: Mapping[str, Any] = MappingProxyType({}),
    folders: Sequence[str] = (),
) -> tuple[str, list[bytes]]:
    """Return the text that a candidate continues with its answer, and the images in it."""
    if not prompts.chat_template:
        return prompts.plain_text(row["task"], row["prompt"]), []
    names = row["images"].split(_BETWEEN_IMAGES) if row.get("images") else None
    chat = prompts.chat({**row, "images": names}, folders)
    text: str = tokenizer.apply_chat_template(
        [_with_placeholders(message) for message in chat["messages"]],
        tools=chat.get("tools"),
        add_generation_prompt=True,
        tokenize=False,
        **template_arguments,
    )
    return text, embedded_images(chat["messages"]) or []


def _with_placeholders(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message in the form of chat templates: an image is a part without its content."""
    if not isinstance(message.get("content"), list):
        return message
    parts = [
        {"type": "image"} if part["type"] == "image_url" else part for part in message["content"]
    ]
    return {**message, "content": parts}


def encode(tokenizer: Any, prompts: Prompts, text: str) -> list[int]:
    """Return the token ids of a rendered text; a chat template has added the special tokens."""
    ids: list[int] = tokenizer(text, add_special_tokens=not prompts.chat_template)["input_ids"]
    return ids


def _letter_tokens(
    tokenizer: Any, prompts: Prompts, text: str, num_letters: int, name: str
) -> list[int]:
    """Return the token of each option's letter when it follows a rendered text.

    All texts end alike, so one text stands for all. The letter is encoded with the text before
    it, as in lm-eval: a tokenizer may have two tokens for a letter, one with a leading blank.
    """
    before = encode(tokenizer, prompts, text)
    tokens = []
    for letter in ascii_uppercase[:num_letters]:
        whole = encode(tokenizer, prompts, text + ANSWER_DELIMITER[prompts.chat_template] + letter)
        if whole[:-1] != before:
            raise ZooError(
                f"candidate {name!r}: the letter {letter} of an option is not a single "
                "token after a prompt; profile it with scoring generated"
            )
        tokens.append(whole[-1])
    if len(set(tokens)) < len(tokens):
        raise ZooError(
            f"candidate {name!r}: its tokenizer has one token for several of the letters "
            f"A to {ascii_uppercase[num_letters - 1]}; profile it with scoring generated"
        )
    return tokens


def load_tokenizer(source: TokenizerSource, *, needs_template: bool = True) -> Any:
    """Load a candidate's tokenizer once per process.

    Raises:
        ZooError: it cannot be loaded, or has no chat template although it needs one.
    """
    try:
        tokenizer = _load_tokenizer(source.source, source.revision, source.trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise ZooError(
            f"candidate {source.candidate!r}: no tokenizer can be read from {source.source}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from None
    has_template = tokenizer.chat_template or "chat_template" in source.template_arguments
    if needs_template and not has_template:
        raise ZooError(
            f"candidate {source.candidate!r}: its tokenizer has no chat template; add a "
            f"chat_template to the tokenizer of {source.source}, or profile it with "
            "prompt.chat_template: false"
        )
    return tokenizer


@lru_cache(maxsize=4)
def _load_tokenizer(source: str, revision: str | None, trust_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        source, revision=revision or "main", trust_remote_code=trust_remote_code
    )
