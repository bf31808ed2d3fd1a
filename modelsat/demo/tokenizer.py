"""The demo zoo's tokenizer: a word of the bank is one token, anything else falls into characters.

A token of a word carries the space before it, so decoding gives back the text.
"""

import re
import string
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from modelsat.demo.bank import CHOICE_LETTERS, TASKS
from modelsat.demo.bank.words import COLOURS, DAYS, EVENTS, MONTHS, NAMES, NUMBERS, THINGS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SPACE = "\u2581"  # stands for the space before a word, as in SentencePiece
PAD, UNKNOWN, BEGIN, END = "<pad>", "<unk>", "<s>", "</s>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL_TOKENS = (PAD, UNKNOWN, BEGIN, END, SYSTEM, USER, ASSISTANT)
MAX_TOKENS = 256  # the longest question of the bank takes about 60
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_WORD = re.compile(r"[A-Za-z]+|[0-9]+")
_PIECES = rf"\n|{_SPACE}?[A-Za-z]+|{_SPACE}?[0-9]+|{_SPACE}?[^A-Za-z0-9{_SPACE}\n]|{_SPACE}"
_SLOT = re.compile(r"\{[a-z]+\}")


@cache
def wording_words() -> tuple[str, ...]:
    """Words of the bank's sentences, slots left out, in alphabetical order."""
    sentences = [w for task in TASKS for w in (*task.wordings, *task.test_wordings)]
    return tuple(sorted({w for text in sentences for w in _WORD.findall(_SLOT.sub(" ", text))}))


def _bank_words() -> list[str]:
    lists = (NAMES, THINGS, COLOURS, EVENTS, DAYS, MONTHS, NUMBERS, CHOICE_LETTERS)
    values = {value for task in TASKS for value in (*task.domain, *task.subjects)}
    return sorted(values.union(wording_words(), *lists))


def build_tokenizer(more_words: Iterable[str] = ()) -> "PreTrainedTokenizerFast":
    """Build the tokenizer, chat template included; the same on every call.

    Args:
        more_words: words that become a token each, besides those of the bank.
    """
    from transformers import PreTrainedTokenizerFast

    printable = [c for c in string.printable if c in "\n" or not c.isspace()]
    tokens = [
        *SPECIAL_TOKENS,
        _SPACE,
        *printable,
        *(_SPACE + c for c in string.punctuation),
        *(_SPACE + word for word in (*_bank_words(), *more_words)),
    ]
    ids = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    # Without merges, a piece that is not a whole token (ignore_merges) splits into characters.
    backend = Tokenizer(models.BPE(vocab=ids, merges=[], unk_token=UNKNOWN, ignore_merges=True))
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("\n", "\n "),
            normalizers.Prepend(_SPACE),
            normalizers.Replace(" ", _SPACE),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECES), behavior="isolated")
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(_SPACE, " "),
            decoders.Fuse(),
            decoders.Replace("\n ", "\n"),
            decoders.Strip(" ", 1, 0),
        ]
    )
    backend.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=MAX_TOKENS,
        padding_side="left",
    )


def render_chat(prompt: str) -> str:
    """What the chat template makes of one user message; answers follow directly."""
    return f"{BEGIN}{USER}{prompt}{ASSISTANT}"
