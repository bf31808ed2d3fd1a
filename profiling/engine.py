"""A candidate of the zoo becomes a stage of Ray Data that answers rows on vLLM.

The only module that names vLLM. What comes out are the rows that ``finish`` makes of the neutral
columns that ``BatchKeeper`` lists, as from :mod:`profiling.remote`.
"""

import multiprocessing
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from modelsat.aptitude.prompts import PLAIN_STOP, Prompts
from modelsat.processes import end_with_this_process
from modelsat.zoo.engines.vllm import VllmCandidate
from profiling.checkpoint import MARGIN, Checkpoint
from profiling.keeping import BatchKeeper
from profiling.rendering import OPTION_TOKENS, PROMPT_SETTINGS, QUESTION

if TYPE_CHECKING:
    from ray.data import Dataset

# Share of a logical CPU that reading, rendering and grading reserve: they wait for the engine
# most of the time, and a whole CPU each would leave a two-CPU cluster none for the engine. One
# worker each: it renders 20,000 questions/s, and a second one would load the tokenizer's library
# once more (5 s, 0.5 GB).
LIGHT_STAGE: dict[str, Any] = {"num_cpus": 0.25, "concurrency": 1}

_ERROR = "__inference_error__"  # Ray's column; empty unless the row failed


def generate_answers(
    rendered: "Dataset",
    candidate: VllmCandidate,
    *,
    replicas: tuple[int, int],
    batch_size: int,
    num_batches: int,
    max_new_tokens: int,
    prompts: Prompts,
    finish: Callable[[dict[str, Any]], dict[str, Any]],
    checkpoint: Checkpoint,
    groups: str,
) -> "Dataset":
    """Answer tokenized prompts greedily; a prompt that cannot be answered becomes a failed row.

    Each engine's batches go through a :class:`profiling.keeping.BatchKeeper`.

    Args:
        rendered: rows as :func:`profiling.rendering.render_prompts` makes them.
        candidate: whose engine answers.
        replicas: least and most engines that share the rows.
        batch_size: rows per batch.
        num_batches: batches that one engine works on at once.
        max_new_tokens: most tokens of one answer.
        prompts: how questions are put, and what of an answer counts.
        finish: makes the row to keep; see ``BatchKeeper``.
        checkpoint: where finished rows are kept.
        groups: how the names begin of the placement groups of engines on several GPUs; nobody
            but the caller removes these.

    Returns:
        Rows as ``finish`` makes them, in any order.
    """
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    config = vLLMEngineProcessorConfig(
        **_engine_options(candidate),
        batch_size=batch_size,
        max_concurrent_batches=num_batches,
        concurrency=replicas,
        should_continue_on_error=True,
        chat_template_stage=False,
        tokenize_stage=False,
        detokenize_stage=False,
        log_engine_metrics=False,
    )
    processor = build_processor(
        config,
        preprocess=partial(_sampling_params, prompts=prompts, max_new_tokens=max_new_tokens),
        preprocess_map_kwargs=dict(LIGHT_STAGE),
        postprocess_map_kwargs=dict(LIGHT_STAGE),
    )
    stage = processor.get_stage_by_name("vLLMEngineStage")
    keeping = _keeping_batches(stage.fn, num_batches, finish, checkpoint)
    # A copy: an assignment would run the stage's validator again, which then asks for a GPU.
    processor.stages["vLLMEngineStage"] = stage.model_copy(
        update={"fn": keeping, "map_batches_kwargs": _naming(stage.map_batches_kwargs, groups)}
    )
    return processor(rendered)


def _naming(options: dict[str, Any], groups: str) -> dict[str, Any]:
    """The stage's options for Ray Data, with names for the placement groups that it makes."""
    place = options.get("ray_remote_args_fn")  # absent where an engine is one process
    if place is None:
        return options
    return {**options, "ray_remote_args_fn": partial(_place_by_name, place, groups)}


def _place_by_name(place: "partial[dict[str, Any]]", groups: str) -> dict[str, Any]:
    """Where Ray places one engine; its group, which Ray would leave without a name, has one."""
    num_workers, accelerator, config = place.args
    config = config or {"bundles": [{"GPU": 1, "CPU": 1}] * num_workers, "strategy": "PACK"}
    return place.func(num_workers, accelerator, {**config, "name": groups + uuid.uuid4().hex})


def _sampling_params(row: dict[str, Any], prompts: Prompts, max_new_tokens: int) -> dict[str, Any]:
    """What is asked of the engine for a row; the same keys for all rows of a run.

    The options' likelihoods come with one generated token: those of the prompt itself would keep
    vLLM from reading its prefix cache, where the worked examples lie.
    """
    sampling: dict[str, Any] = {"temperature": PROMPT_SETTINGS["temperature"]}
    if prompts.scoring == "loglikelihood":
        tokens = [int(token) for token in row[OPTION_TOKENS]]
        sampling |= {"max_tokens": 1, "logprob_token_ids": tokens}
    else:
        sampling["max_tokens"] = max_new_tokens
        if not prompts.chat_template:
            sampling["stop"] = [PLAIN_STOP]
    return {"sampling_params": sampling}


def _keeping_batches(
    engine: Any,
    num_batches: int,
    finish: Callable[[dict[str, Any]], dict[str, Any]],
    checkpoint: Checkpoint,
) -> Any:
    """Ray's engine stage, which also keeps each batch before it takes another one."""

    class KeepingEngine(engine):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            children = multiprocessing.active_children()
            self._end = end_with_this_process(child.pid for child in children if child.pid)
            self._keeper = BatchKeeper(num_batches, finish, checkpoint)

        async def __call__(self, batch: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
            kept = await self._keeper.keep(list(batch[self.data_column]), self._answer)
            yield {self.data_column: kept}

        async def _answer(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
            """Rows with the engine's columns, in the same order; leaves the given ones alone."""
            answers: list[dict[str, Any]] = []
            batch = {self.data_column: [_asking_for_the_end(row) for row in rows]}
            async for done in super().__call__(batch):
                answers += map(neutral_row, done[self.data_column])
            return answers

    return KeepingEngine


def _asking_for_the_end(row: dict[str, Any]) -> dict[str, Any]:
    """A copy whose answer comes once, when it is complete, and not after every token too."""
    from vllm.sampling_params import RequestOutputKind

    sampling = {**row["sampling_params"], "output_kind": RequestOutputKind.FINAL_ONLY}
    return {**row, "sampling_params": sampling}


def resources_text(candidate: VllmCandidate) -> str:
    """What one replica asks of the cluster, in words."""
    placement = candidate.llm_config.get("placement_group_config")
    accelerator = candidate.llm_config.get("accelerator_type")
    if placement:
        return f"{placement}" + (f" on {accelerator}" if accelerator else "")
    return f"a GPU ({accelerator})" if accelerator else "a GPU (no placement_group_config given)"


def _engine_options(candidate: VllmCandidate) -> dict[str, Any]:
    options = candidate.llm_config
    return {
        "model_source": candidate.source,
        "engine_kwargs": candidate.engine_kwargs,
        "accelerator_type": options.get("accelerator_type"),
        "placement_group_config": options.get("placement_group_config"),
        "runtime_env": engine_environment(candidate),
    }


def engine_environment(candidate: VllmCandidate) -> dict[str, Any]:
    """Ray runtime environment of the candidate's engines; the zoo's own settings win."""
    own = dict(candidate.llm_config.get("runtime_env") or {})
    defaults = {
        # Several CPU engines on one machine would all bind themselves to the same cores.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
    }
    if not _wants_gpu(candidate):
        # Keeps vLLM from moving the model into a third process: 10 CPU-seconds and 0.5 GB less.
        defaults["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    if Path(candidate.source).is_dir():
        defaults["HF_HUB_OFFLINE"] = "1"
    return {**own, "env_vars": {**defaults, **own.get("env_vars", {})}}


def _wants_gpu(candidate: VllmCandidate) -> bool:
    placement = candidate.llm_config.get("placement_group_config") or {}
    bundles = [*placement.get("bundles", ()), placement.get("bundle_per_worker")]
    asked = [bundle for bundle in bundles if bundle]
    return not asked or any(bundle.get("GPU") for bundle in asked)


def neutral_row(row: dict[str, Any]) -> dict[str, Any]:
    """Of a row with the engine's columns those that a ``BatchKeeper`` asks for."""
    output, margin = _answer(row)
    return {
        "question_id": row["question_id"],
        "prompt": row[QUESTION],
        "answer": row["answer"],
        "n_choices": row["n_choices"],
        "output": output,
        "prompt_tokens": row["num_input_tokens"],
        "completion_tokens": row["num_generated_tokens"],
        "engine_request": row["request_id"],
        MARGIN: margin,
        "error": row[_ERROR],
    }


def _answer(row: dict[str, Any]) -> tuple[str | None, float | None]:
    """The text that was generated; or the letter of the likeliest option, and by how many nats."""
    tokens = row[OPTION_TOKENS]
    if row[_ERROR] or not len(tokens):
        return row["generated_text"], None
    [likelihoods] = row["logprobs"]
    found = [likelihoods[int(token)]["logprob"] for token in tokens]
    # Of equals the first, as lm-eval has it.
    best = found.index(max(found))
    others = found[:best] + found[best + 1 :]
    return ascii_uppercase[best], found[best] - max(others) if others else None
