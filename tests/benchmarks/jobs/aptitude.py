"""Throughput of the aptitude test: with a second replica, and compared with its engine alone.

Every measurement is one run of the job, or of the engine without it, in a process of its own; the
time to start is left out.
"""

from pathlib import Path
from typing import Any

from modelsat.zoo.engines.vllm import VllmCandidate
from profiling.engines.vllm import engine_environment
from tests.benchmarks import fresh_process
from tests.benchmarks.jobs.engine_alone import generate_alone
from tests.benchmarks.jobs.timed_run import TimedRun, run_timed, write_run
from tests.support.profiling.tiny_model import WORDS, save_tiny_model, zoo_entry
from tests.support.profiling.url_bench import remote
from tests.support.upstream import running_upstream

LATENCY_S = 1.0  # of the slow URL, whatever the number of concurrent requests
OPEN_REQUESTS = 16  # concurrent requests of one replica
PROMPT_TOKENS, NEW_TOKENS = 64, 32
NUM_THREADS = 2  # threads of an engine, in the job and alone
MAX_NUM_SEQS = 64  # sequences in one batch of the engine
_NUM_TEMPLATE_TOKENS = 3  # of the tiny tokenizer's chat template
_SHAPE = {
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 14,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "head_dim": 64,
}


def measure_url(folder: Path, replicas: int, num_questions: int) -> TimedRun:
    """Profile a slow URL with a number of replicas."""
    question = {"benchmark": "b", "task": "t", "prompt": "What is it?", "answer": "it"}
    rows = [{"question_id": f"q{i}", **question} for i in range(num_questions)]
    options = {"block_size": OPEN_REQUESTS, "batch_size": OPEN_REQUESTS // 4, "replicas": replicas}
    with running_upstream(latency_s=LATENCY_S) as upstream:
        config = write_run(folder, [remote("slow", upstream.url)], rows, **options)
        run = run_timed(config, "slow")
    assert (run.row["num_failed"], run.row["num_engines"]) == (0, replicas), run.row
    return run


def save_large_model(folder: Path) -> int:
    """Write a random Llama that never ends its answer; return its number of parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    save_tiny_model(folder, seed=0)
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(folder, **_SHAPE))
    with torch.no_grad():
        model.lm_head.weight[model.config.eos_token_id] = 0  # never the most likely
    model.to(torch.bfloat16).save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def large_candidate(model: Path) -> dict[str, Any]:
    """Return the entry of the random Llama in a zoo file."""
    options = {"dtype": "bfloat16", "kv_cache_memory_bytes": 2**29, "max_num_seqs": MAX_NUM_SEQS}
    entry = zoo_entry("large", model, **options)
    # An engine gets as many threads as Ray reserves CPUs for it.
    entry["llm_config"]["placement_group_config"]["bundles"] = [{"CPU": NUM_THREADS}]
    return entry


def measure_engine_run(folder: Path, model: Path, replicas: int, num_questions: int) -> TimedRun:
    """Profile the random Llama with a number of replicas."""
    config = write_run(
        folder,
        [large_candidate(model)],
        large_questions(num_questions),
        max_new_tokens=NEW_TOKENS,
        max_truncated_fraction=1.0,  # a random model never ends
        replicas=replicas,
    )
    run = run_timed(config, "large")
    asked = (num_questions * PROMPT_TOKENS, num_questions * NEW_TOKENS)
    assert (run.row["prompt_tokens"], run.row["completion_tokens"]) == asked, run.row
    return run


def measure_engine_alone(model: Path, num_questions: int) -> float:
    """Return rows per second of the same engine, given the same prompts in one call."""
    candidate = VllmCandidate.model_validate(large_candidate(model))
    prompts = [question["prompt"] for question in large_questions(num_questions)]
    found = fresh_process.call(
        generate_alone,
        candidate.source,
        candidate.engine_kwargs,
        prompts,
        NEW_TOKENS,
        environment={
            **engine_environment(candidate)["env_vars"],
            "OMP_NUM_THREADS": str(NUM_THREADS),
        },
    )
    asked = (num_questions * PROMPT_TOKENS, num_questions * NEW_TOKENS)
    assert (found.prompt_tokens, found.completion_tokens) == asked, found
    return num_questions / found.generating_s


def large_questions(number: int) -> list[dict[str, Any]]:
    """Return distinct questions of :data:`PROMPT_TOKENS` tokens each, template included."""
    num_words = PROMPT_TOKENS - _NUM_TEMPLATE_TOKENS
    return [
        {
            "question_id": f"q{i:05d}",
            "benchmark": "words",
            "task": "words",
            "prompt": " ".join(
                WORDS[(i // len(WORDS) ** (j % 3) + j * j) % len(WORDS)] for j in range(num_words)
            ),
            "answer": "w1",
        }
        for i in range(number)
    ]
