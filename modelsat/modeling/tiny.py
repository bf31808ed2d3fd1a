"""The ``tiny`` preset: a randomly initialised base and encoder that need no download.

For demonstrations and tests. Both are Hugging Face directories, loaded by the same code as any
pretrained model; their vocabulary is learned from the given texts.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from modelsat.artifacts.store import atomic_directory

_WIDTH = 128
_NUM_BASE_LAYERS = 2
_NUM_ENCODER_LAYERS = 1
_MAX_TOKENS = 512
_SIZES = {
    "hidden_size": _WIDTH,
    "intermediate_size": 4 * _WIDTH,
    "num_attention_heads": 4,
    "max_position_embeddings": _MAX_TOKENS,
}
_VOCABULARY_SIZE = 4096
_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[BOS]", "[EOS]")


def write_tiny_parts(path: str | Path, texts: Iterable[str], seed: int) -> tuple[Path, Path]:
    """Write a random base model and encoder.

    Args:
        path: directory to create, with ``base/`` and ``encoder/`` in it.
        texts: texts from which the vocabulary is learned.
        seed: seeds the weights.

    Returns:
        The directories of base and encoder.
    """
    with atomic_directory(path) as directory, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _train_tokenizer(texts)
        _write_base(directory / "base", tokenizer)
        _write_encoder(directory / "encoder", directory / "transformer", tokenizer)
    return Path(path) / "base", Path(path) / "encoder"


def base_config(vocabulary_size: int = _VOCABULARY_SIZE, **special_ids: int) -> LlamaConfig:
    """Return the configuration of the tiny base model.

    Args:
        vocabulary_size: number of tokens; a trained vocabulary is usually below the maximum.
        special_ids: ids of special tokens.
    """
    return LlamaConfig(
        vocab_size=vocabulary_size,
        num_hidden_layers=_NUM_BASE_LAYERS,
        **_SIZES,
        **special_ids,
    )


# The encoder keeps BERT's default dropout (0.1): without it a router memorises the training
# wordings (docs/experiments.md).
def encoder_config(vocabulary_size: int = _VOCABULARY_SIZE, **special_ids: int) -> BertConfig:
    """Return the configuration of the tiny encoder; arguments as for :func:`base_config`."""
    return BertConfig(
        vocab_size=vocabulary_size,
        num_hidden_layers=_NUM_ENCODER_LAYERS,
        **_SIZES,
        **special_ids,
    )


def _train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    lines = [*texts, "yes no"]
    characters = {chr(code) for code in range(33, 127)}
    characters |= {character for line in lines for character in line.lower()}
    alphabet = sorted(character for character in characters if not character.isspace())
    trainer = trainers.WordPieceTrainer(
        vocab_size=_VOCABULARY_SIZE,
        # The trainer numbers continuation tokens in an order that differs between runs, and breaks
        # ties by number. Special tokens are numbered in the given order.
        special_tokens=[*_SPECIAL_TOKENS, *(f"##{character}" for character in alphabet)],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    trained = _tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.train_from_iterator(lines, trainer)
    tokenizer = _tokenizer(models.WordPiece(vocab=trained.get_vocab(), unk_token="[UNK]"))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        model_max_length=_MAX_TOKENS,
    )


def _tokenizer(model: models.WordPiece) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _write_base(path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    config = base_config(
        len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(str(path))


def _write_encoder(path: Path, scratch: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    config = encoder_config(len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    BertModel(config).save_pretrained(scratch)
    tokenizer.save_pretrained(str(scratch))
    transformer = Transformer(str(scratch), max_seq_length=_MAX_TOKENS)
    pooling = Pooling(_WIDTH, pooling_mode="mean")
    encoder = SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu")
    encoder.save_pretrained(str(path), create_model_card=False, safe_serialization=True)
    shutil.rmtree(scratch)
