"""Random models, cards and a router, small enough to be made in a test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM
from transformers import PreTrainedTokenizerFast as FastTokenizer

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.capability.cards import Card, Statement, write_cards
from modelsat.modeling.calibration import Calibration
from modelsat.modeling.checkpoint import Router, save_router
from modelsat.modeling.config import ModelConfig
from modelsat.modeling.loading import build_model

TASKS = TaskSet(
    benchmark="toy",
    tasks=(
        CoreTask(
            task="addition",
            keywords=("numbers", "sums", "digits", "carry", "total"),
            question_ids=tuple(f"addition/{i}" for i in range(20)),
        ),
        CoreTask(
            task="spelling",
            keywords=("letters", "words", "order", "alphabet", "writing"),
            question_ids=tuple(f"spelling/{i}" for i in range(20)),
        ),
    ),
)
TASKS_HASH = TASKS.tasks_hash
SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}"
    "{{ hint or '' }}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def byte_tokenizer() -> FastTokenizer:
    """One token per byte, so any text has tokens and any tokens are text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    pad, bos, eos = SPECIAL_TOKENS
    fast = FastTokenizer(tokenizer_object=tokenizer, pad_token=pad, bos_token=bos, eos_token=eos)
    fast.chat_template = CHAT_TEMPLATE
    return fast


def write_llama(path: Path, *, seed: int) -> Path:
    """A random Llama of 2 layers and width 128 (head size 64) with its tokenizer."""
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(path)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    return path


def write_router(path: Path, scratch: Path) -> Path:
    """A random router that reads cards of the task set TASKS_HASH."""
    base = write_llama(scratch / "base", seed=0)
    config = ModelConfig(base=str(base), encoder=str(_write_encoder(scratch)))
    model, tokenizer = build_model(config, seed=0)
    save_router(Router(model, tokenizer, config, Calibration(), (TASKS,), {}), path)
    return path


def write_card_table(path: Path, names: Sequence[str], tasks_hash: str = TASKS_HASH) -> Path:
    """Cards of two tasks, different for every candidate."""
    cards = [
        Card(
            candidate=name,
            tasks_hash=tasks_hash,
            statements=(
                Statement("addition", TASKS.tasks[0].description, float(index % 21), 20),
                Statement("spelling", TASKS.tasks[1].description, float(7 * index % 21), 20),
            ),
        )
        for index, name in enumerate(names)
    ]
    write_cards(cards, path)
    return path


def candidate_entry(name: str, model: Path, **deployment_config: Any) -> dict[str, Any]:
    """One candidate of a zoo file, on one CPU."""
    return {
        "name": name,
        "engine": "vllm",
        "context_window": 4096,
        "llm_config": {
            "model_loading_config": {"model_source": str(model)},
            "engine_kwargs": {
                "max_model_len": 4096,
                "enforce_eager": True,
                "dtype": "float32",
                "kv_cache_memory_bytes": 128 * 1024**2,
            },
            "placement_group_config": {"bundles": [{"CPU": 1}]},
            "deployment_config": deployment_config,
        },
    }


def remote_entry(name: str, base_url: str, **fields: Any) -> dict[str, Any]:
    """One candidate of a zoo file behind a URL."""
    return {
        "name": name,
        "engine": "openai",
        "base_url": base_url,
        "model": f"upstream-of-{name}",
        "context_window": 4096,
        **fields,
    }


def write_zoo(path: Path, entries: Sequence[dict[str, Any]]) -> Path:
    """A zoo file."""
    path.write_text(yaml.safe_dump({"version": 1, "candidates": list(entries)}))
    return path


def _write_encoder(scratch: Path) -> Path:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = None
    tokenizer.save_pretrained(scratch / "bert")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
    )
    BertModel(config).save_pretrained(scratch / "bert")
    words = Transformer(str(scratch / "bert"))
    encoder = SentenceTransformer(modules=[words, Pooling(32)], device="cpu")
    encoder.save_pretrained(str(scratch / "encoder"), create_model_card=False)
    return scratch / "encoder"
