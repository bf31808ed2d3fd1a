"""The demo zoo: checkpoints trained by the project, cached by content, and their zoo file."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.store import atomic_directory, write_text
from modelsat.demo.tokenizer import MAX_TOKENS
from modelsat.demo.zoo_examples import draw_examples
from modelsat.demo.zoo_specs import CandidateSpec
from modelsat.progress import Progress, clear_bar

TRAINER_VERSION = 2  # raise it whenever the same specification would give other weights
# Two small models train faster side by side on a thread each than one after the other on two.
_NUM_PROCESSES = 2
_NUM_HASHED_EXAMPLES = 500  # about ten of each task
_steps: Any = None  # in a worker: steps done by all workers, shared
_KV_CACHE_BYTES = 134217728  # 128 MiB: enough for 100 sequences of a demo model


def train_zoo(
    specs: Sequence[CandidateSpec],
    seed: int,
    cache_dir: Path,
    say: Callable[[str], None],
) -> dict[str, Path]:
    """Train the candidates that are not in the cache yet.

    Args:
        specs: the candidates.
        seed: fixes weights and examples.
        cache_dir: one model directory each goes here, named by content hash.
        say: receives one line for each candidate.

    Returns:
        Model directory by name, in the order given.
    """
    places = {spec.name: cache_dir / f"{spec.name}-{_work_hash(spec, seed)}" for spec in specs}
    missing = [spec for spec in specs if not places[spec.name].is_dir()]
    for spec in specs:
        if spec not in missing:
            say(f"{spec.name}: trained before")
    if missing:
        say(f"training {', '.join(spec.name for spec in missing)}")
        jobs = [(spec, places[spec.name]) for spec in missing]
        context = multiprocessing.get_context("spawn")
        steps = context.Value("Q", 0)
        total = sum(spec.steps for spec in missing)
        with (
            Progress("train the demo zoo", total, count=lambda: int(steps.value)),
            context.Pool(_NUM_PROCESSES, _start_worker, (steps,)) as pool,
        ):
            for name, seconds in pool.imap_unordered(partial(_train, seed=seed), jobs):
                clear_bar()
                say(f"{name}: trained in {seconds:.0f} s")
            pool.close()
            pool.join()
    return places


def write_demo_zoo(
    specs: Iterable[CandidateSpec],
    checkpoints: Mapping[str, Path],
    path: Path,
    more: Sequence[dict[str, Any]] = (),
) -> None:
    """Write the zoo file of trained checkpoints, with engine options for a CPU.

    Args:
        specs: the candidates.
        checkpoints: their model directories, by name.
        path: the zoo file.
        more: entries of further candidates.
    """
    candidates = [zoo_entry(it.name, it.usd_per_mtok, checkpoints[it.name]) for it in specs]
    zoo = {"version": 1, "candidates": [*candidates, *more]}
    write_text(path, yaml.safe_dump(zoo, sort_keys=False))


def zoo_entry(
    name: str,
    usd_per_mtok: float,
    directory: Path,
    modalities: Sequence[str] = ("text",),
    engine_kwargs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a demo candidate as the zoo file has it.

    Args:
        name: name in the zoo.
        usd_per_mtok: price of a million tokens, for input and output alike.
        directory: model directory.
        modalities: kinds of input that it reads.
        engine_kwargs: engine options besides those of every demo candidate.
    """
    source = {"model_id": name, "model_source": str(directory.resolve())}
    return {
        "name": name,
        "engine": "vllm",
        "llm_config": {
            "model_loading_config": source,
            "accelerator_type": None,
            "placement_group_config": {"bundles": [{"CPU": 1}]},
            "engine_kwargs": {
                "max_model_len": MAX_TOKENS,
                "dtype": "float32",  # native everywhere, so that outcomes are the same everywhere
                "enforce_eager": True,
                "kv_cache_memory_bytes": _KV_CACHE_BYTES,
                **(engine_kwargs or {}),
            },
            "deployment_config": {
                "autoscaling_config": {
                    "min_replicas": 0,  # an engine takes half a minute of two cores to start
                    "max_replicas": 2,
                    "target_ongoing_requests": 16,
                }
            },
        },
        "price": {"input_usd_per_mtok": usd_per_mtok, "output_usd_per_mtok": usd_per_mtok},
        "context_window": MAX_TOKENS,
        "modalities": list(modalities),
    }


def _work_hash(spec: CandidateSpec, seed: int) -> str:
    # A change of the bank shows in what the candidate is taught.
    lessons = content_hash(draw_examples(spec, _NUM_HASHED_EXAMPLES, seed))
    return content_hash(
        {"spec": asdict(spec), "seed": seed, "lessons": lessons, "trainer": TRAINER_VERSION}
    )


def _start_worker(steps: Any) -> None:
    global _steps
    import torch
    from transformers.utils.logging import disable_progress_bar

    _steps = steps
    torch.set_num_threads(1)
    disable_progress_bar()
    # The parent ends its workers by SIGTERM; leaving by an exception removes unfinished files.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))


def _count_step() -> None:
    with _steps.get_lock():
        _steps.value += 1


def _train(job: tuple[CandidateSpec, Path], seed: int) -> tuple[str, float]:
    from modelsat.demo.zoo_learning import learn

    spec, directory = job
    started = time.monotonic()
    with atomic_directory(directory) as temporary:
        learn(spec, seed, temporary, _count_step)
    return spec.name, time.monotonic() - started
