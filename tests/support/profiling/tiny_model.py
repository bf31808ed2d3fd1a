"""A random tiny Llama in an ordinary Hugging Face directory, and what it answers."""

from pathlib import Path
from typing import Any

CONTEXT_WINDOW = 128
WORDS = [f"w{i}" for i in range(60)]
_SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<user>", "<assistant>"]
_CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %} <user> {{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %} <assistant>{% endif %}"
)


def save_tiny_model(folder: Path, seed: int) -> None:
    """Two layers of width 128, head size 64, vocabulary of words; weights by seed."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate([*_SPECIAL, *"ABCD", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )
    tokenizer.chat_template = _CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT_WINDOW,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        # Wide enough that the largest logit stands clear of rounding.
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def greedy_answers(folder: Path, prompts: list[str], max_new_tokens: int) -> list[str]:
    """Answers of plain Hugging Face greedy generation, one prompt at a time."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    answers = []
    for prompt in prompts:
        ids = tokenizer(f"<s> <user> {prompt} <assistant>", return_tensors="pt")["input_ids"]
        with torch.no_grad():
            output = model.generate(ids, max_new_tokens=max_new_tokens, do_sample=False)
        answers.append(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True))
    return answers


def zoo_entry(name: str, source: Path, **engine_kwargs: Any) -> dict[str, Any]:
    """A candidate of a zoo file, on one CPU."""
    return {
        "name": name,
        "engine": "vllm",
        "context_window": CONTEXT_WINDOW,
        "llm_config": {
            "model_loading_config": {"model_id": name, "model_source": str(source)},
            "engine_kwargs": {
                "max_model_len": CONTEXT_WINDOW,
                "enforce_eager": True,
                "dtype": "float32",
                "kv_cache_memory_bytes": 134217728,
                **engine_kwargs,
            },
            "placement_group_config": {"bundles": [{"CPU": 1}]},
        },
    }
