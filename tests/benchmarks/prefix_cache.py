"""What vLLM's prefix cache saves where every question brings the same worked examples.

``python -m tests.benchmarks.prefix_cache`` asks one random Llama of about 27M parameters the same
questions with five worked examples, once with the options' likelihoods as
:mod:`profiling.engines.vllm` does and once with the prompt's, and prints how many prompt tokens
came from the cache.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from modelsat.aptitude.prompts import Prompts
from tests.support.profiling.tiny_model import WORDS, save_tiny_model

CONTEXT_WINDOW = 1024
NUM_QUESTIONS = 48
SHOTS = 5
STEM_WORDS = 90


def main() -> None:
    """Ask and print one JSON object."""
    argparse.ArgumentParser(
        prog="python -m tests.benchmarks.prefix_cache", description=__doc__
    ).parse_args()
    # A single process, so that outputs depend on the cache; stdout is for the result.
    os.environ.update(
        HF_HUB_OFFLINE="1", VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_LOGGING_LEVEL="ERROR"
    )
    from transformers import AutoTokenizer
    from vllm import LLM, SamplingParams

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save_model(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        shots = tuple((_question(i), "ABCD"[i % 4]) for i in range(SHOTS))
        prompts = Prompts(chat_template=False, scoring="loglikelihood", examples={"t": shots})
        texts = [prompts.plain_text("t", _question(i + SHOTS)) for i in range(NUM_QUESTIONS)]
        ids = [{"prompt_token_ids": tokenizer(text)["input_ids"]} for text in texts]
        letters = tokenizer("A B C D")["input_ids"]
        engine = LLM(
            str(folder),
            dtype="float32",
            enforce_eager=True,
            max_model_len=CONTEXT_WINDOW,
            kv_cache_memory_bytes=2**28,
        )
        options = {"temperature": 0.0, "max_tokens": 1}
        asked = {
            "options at one generated token": SamplingParams(**options, logprob_token_ids=letters),
            "likelihood of the prompt": SamplingParams(**options, prompt_logprobs=1),
        }
        found = {kind: _measure(engine, ids, sampling) for kind, sampling in asked.items()}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


def _measure(engine: Any, ids: list[Any], sampling: Any) -> dict[str, float]:
    engine.reset_prefix_cache()
    engine.generate(ids[:1], sampling, use_tqdm=False)  # fills the cache, where it is read
    started_s = time.perf_counter()
    outputs = [engine.generate([prompt], sampling, use_tqdm=False)[0] for prompt in ids[1:]]
    wall_s = time.perf_counter() - started_s
    return {
        "prompt_tokens": sum(len(output.prompt_token_ids) for output in outputs),
        "from_cache": sum(output.num_cached_tokens for output in outputs),
        "rows_per_s": round(len(outputs) / wall_s, 2),
    }


def _save_model(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    save_tiny_model(folder, seed=0)
    torch.manual_seed(0)
    shape = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 64}
    config = LlamaConfig.from_pretrained(
        folder, max_position_embeddings=CONTEXT_WINDOW, **shape, **heads
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def _question(i: int) -> str:
    stem = [WORDS[(i * i + 3 * j) % len(WORDS)] for j in range(STEM_WORDS)]
    options = [f"{letter}. {WORDS[(i + j) % len(WORDS)]}" for j, letter in enumerate("ABCD")]
    return "\n".join([f"{WORDS[i % len(WORDS)]} {i}", " ".join(stem), *options])


if __name__ == "__main__":
    main()
