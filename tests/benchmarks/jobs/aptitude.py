"""What the aptitude test gains by a second replica, and what it costs around its engine.

Every measure is one run of the public command, start apart, or of the engine without it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from modelsat.zoo.engines.vllm import VllmCandidate
from profiling.engines.vllm import engine_environment
from tests.benchmarks.jobs.timed_run import TimedRun, run_timed, write_run
from tests.support.profiling.killable import ROOT
from tests.support.profiling.tiny_model import WORDS, save_tiny_model, zoo_entry
from tests.support.profiling.url_bench import remote
from tests.support.upstream import running_upstream

LATENCY_S = 1.0  # of the slow URL, however many it is asked at once
OPEN_REQUESTS = 16  # of one replica
PROMPT_TOKENS, NEW_TOKENS = 64, 32
NUM_THREADS = 2  # of an engine, in the job and without it
MAX_NUM_SEQS = 64  # sequences that the engine works on at once
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
    """Ask a slow URL by so many replicas."""
    question = {"benchmark": "b", "task": "t", "prompt": "What is it?", "answer": "it"}
    rows = [{"question_id": f"q{i}", **question} for i in range(num_questions)]
    options = {"block_size": OPEN_REQUESTS, "batch_size": OPEN_REQUESTS // 4, "replicas": replicas}
    with running_upstream(latency_s=LATENCY_S) as upstream:
        config = write_run(folder, [remote("slow", upstream.url)], rows, **options)
        run = run_timed(config, "slow")
    assert (run.row["num_failed"], run.row["num_engines"]) == (0, replicas), run.row
    return run


def save_large_model(folder: Path) -> int:
    """A random Llama that never ends its answer by itself; returns its number of parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    save_tiny_model(folder, seed=0)
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(folder, **_SHAPE))
    with torch.no_grad():
        model.lm_head.weight[model.config.eos_token_id] = 0  # never the likeliest
    model.to(torch.bfloat16).save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def large_candidate(model: Path) -> dict[str, Any]:
    """Its entry of a zoo file."""
    options = {"dtype": "bfloat16", "kv_cache_memory_bytes": 2**29, "max_num_seqs": MAX_NUM_SEQS}
    entry = zoo_entry("large", model, **options)
    # Ray gives an engine as many threads as it books CPUs.
    entry["llm_config"]["placement_group_config"]["bundles"] = [{"CPU": NUM_THREADS}]
    return entry


def measure_engine_run(folder: Path, model: Path, replicas: int, num_questions: int) -> TimedRun:
    """Let replicas of the random Llama answer through the public command."""
    config = write_run(
        folder,
        [large_candidate(model)],
        large_questions(num_questions),
        max_new_tokens=NEW_TOKENS,
        replicas=replicas,
    )
    run = run_timed(config, "large")
    asked = (num_questions * PROMPT_TOKENS, num_questions * NEW_TOKENS)
    assert (run.row["prompt_tokens"], run.row["completion_tokens"]) == asked, run.row
    return run


def measure_engine_alone(folder: Path, model: Path, num_questions: int) -> float:
    """Rows per second of the same engine, given the same prompts at once in one call."""
    candidate = VllmCandidate.model_validate(large_candidate(model))
    folder.mkdir(parents=True)
    job = folder / "job.json"
    prompts = [question["prompt"] for question in large_questions(num_questions)]
    job.write_text(
        json.dumps(
            {
                "model": candidate.source,
                "engine_kwargs": candidate.engine_kwargs,
                "prompts": prompts,
                "max_new_tokens": NEW_TOKENS,
            }
        )
    )
    process = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.jobs.engine_alone", str(job)],
        env={
            **os.environ,
            **engine_environment(candidate)["env_vars"],
            "OMP_NUM_THREADS": str(NUM_THREADS),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"the engine could not be measured: {process.stderr[-2000:]}")
    found = json.loads(process.stdout.splitlines()[-1])
    asked = (num_questions * PROMPT_TOKENS, num_questions * NEW_TOKENS)
    assert (found["prompt_tokens"], found["completion_tokens"]) == asked, found
    return num_questions / float(found["generating_s"])


def large_questions(number: int) -> list[dict[str, Any]]:
    """Distinct questions of :data:`PROMPT_TOKENS` tokens each, template included."""
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
