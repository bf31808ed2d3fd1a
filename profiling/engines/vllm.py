"""Engines of candidates that this cluster runs with vLLM, through Ray Data's LLM processor.

No module of this application names vLLM but this one and those called ``vllm_*`` beside it.
"""

import multiprocessing
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from safetensors import SafetensorError, safe_open

from modelsat.aptitude.images import embedded_images
from modelsat.aptitude.own_requests import can_answer, read_request
from modelsat.aptitude.prompts import Prompts
from modelsat.chats import modalities
from modelsat.errors import ZooError
from modelsat.grading.graders import grader_name
from modelsat.processes import end_with_this_process
from modelsat.processor import native_dtype
from modelsat.zoo.engines.vllm import VllmCandidate
from profiling.engines.protocol import ProfilingEngine
from profiling.engines.vllm_parser import answer_parser, without_server_options
from profiling.engines.vllm_rows import multimodal_data, neutral_row, sampling_params
from profiling.job import LIGHT_STAGE, CandidateJob, Finish, Row
from profiling.keeping import BatchKeeper
from profiling.rendering import (
    TokenizerSource,
    fill_nulls,
    load_tokenizer,
    render_prompts,
)

if TYPE_CHECKING:
    from ray.data import Dataset


class Engine(ProfilingEngine):
    """vLLM replicas of one candidate, each a stage actor of Ray Data.

    Args:
        candidate: its weights, engine options and hardware.
    """

    def __init__(self, candidate: VllmCandidate) -> None:
        self._candidate = candidate

    def check(self, prompts: Prompts) -> None:
        """Check that a local model directory can be loaded; a hub id is left to vLLM.

        Reads file headers only, so that a broken checkpoint is reported at once and by file name:
        vLLM takes half a minute and says less.

        Raises:
            ZooError: the directory holds no model, or a weights file is corrupt.
        """
        self._candidate.check_source()
        for weights in sorted(Path(self._candidate.source).glob("*.safetensors")):
            try:
                with safe_open(weights, framework="numpy") as tensors:
                    tensors.keys()
            except (SafetensorError, OSError) as error:
                raise ZooError(
                    f"candidate {self._candidate.name!r}: {weights} is corrupt or cut short "
                    f"({error}); copy the model directory again"
                ) from None

    def reads(self, row: Mapping[str, Any]) -> bool:
        """Return whether the zoo file says so and images are embedded; no sound is sent."""
        if not can_answer(self._candidate, row):
            return False
        messages = (read_request(row) or {"messages": []})["messages"]
        return "audio" not in modalities(messages) and embedded_images(messages) is not None

    def replica_resources(self) -> dict[str, float]:
        """Return what one replica reserves: its placement group, else one GPU per worker."""
        options, kwargs = self._candidate.llm_config, self._candidate.engine_kwargs
        workers = kwargs.get("tensor_parallel_size", 1) * kwargs.get("pipeline_parallel_size", 1)
        placement = options.get("placement_group_config") or {}
        per_worker = placement.get("bundle_per_worker") or {"GPU": 1}
        total: dict[str, float] = {}
        for bundle in placement.get("bundles") or [per_worker] * workers:
            for name, amount in bundle.items():
                total[name] = total.get(name, 0.0) + amount
        if accelerator := options.get("accelerator_type"):
            total[f"accelerator_type:{accelerator}"] = 0.001  # Ray's way to ask for a machine type
        return total

    def deadline_advice(self, num_replicas: int, has_answered: bool) -> str:
        """Return why the deadline may have passed and what to do about it."""
        if has_answered:
            return "its engine is too slow or keeps dying; raise candidate_deadline_s"
        return (
            f"{num_replicas} replica(s) of {self._resources_text()} found no room, or its engine "
            "keeps dying; add machines, lower replicas, or raise candidate_deadline_s"
        )

    def answer(self, questions: "Dataset", job: CandidateJob, finish: Finish) -> "Dataset":
        """Return the dataset of greedy answers; see :class:`ProfilingEngine`."""
        from ray.data.llm import build_processor, vLLMEngineProcessorConfig

        filled = questions.map_batches(
            fill_nulls, batch_size=None, batch_format="pyarrow", **LIGHT_STAGE
        )
        options = self._candidate.llm_config
        config = vLLMEngineProcessorConfig(
            model_source=self._candidate.source,
            engine_kwargs=_engine_kwargs(self._candidate),
            accelerator_type=options.get("accelerator_type"),
            placement_group_config=options.get("placement_group_config"),
            runtime_env=engine_environment(self._candidate),
            batch_size=job.batch_size,
            max_concurrent_batches=job.num_batches,
            concurrency=job.replicas,
            should_continue_on_error=True,
            chat_template_stage=False,
            tokenize_stage=False,
            detokenize_stage=False,
            log_engine_metrics=False,
        )
        processor = build_processor(
            config,
            preprocess_map_kwargs=dict(LIGHT_STAGE),
            postprocess_map_kwargs=dict(LIGHT_STAGE),
        )
        stage = processor.get_stage_by_name("vLLMEngineStage")
        changes = {
            "fn": _checkpointed(stage.fn, self._candidate, job, finish),
            "map_batches_kwargs": _with_named_groups(stage.map_batches_kwargs, job.groups),
        }
        # A copy: assignment would run the stage's validator again, which then asks for a GPU.
        processor.stages["vLLMEngineStage"] = stage.model_copy(update=changes)
        return processor(filled)

    def _resources_text(self) -> str:
        placement = self._candidate.llm_config.get("placement_group_config")
        accelerator = self._candidate.llm_config.get("accelerator_type")
        if placement:
            return f"{placement}" + (f" on {accelerator}" if accelerator else "")
        return f"a GPU ({accelerator or 'no placement_group_config given'})"


def tokenizer_source(candidate: VllmCandidate) -> TokenizerSource:
    """Return the tokenizer that vLLM would load for a candidate."""
    options = candidate.engine_kwargs
    template = candidate.chat_template
    own = {"chat_template": template} if template else {}
    return TokenizerSource(
        candidate=candidate.name,
        source=str(options.get("tokenizer") or candidate.source),
        # As in vLLM: the revision of the weights, unless the tokenizer has its own.
        revision=options.get("tokenizer_revision") or options.get("revision"),
        trust_remote_code=bool(options.get("trust_remote_code", False)),
        template_arguments=candidate.generation.template_arguments | own,
    )


def _with_named_groups(options: dict[str, Any], groups: str) -> dict[str, Any]:
    """Return the stage's options, with names for the placement groups that Ray Data creates."""
    place = options.get("ray_remote_args_fn")  # absent if an engine is one process
    if place is None:
        return options
    return {**options, "ray_remote_args_fn": partial(_place_in_named_group, place, groups)}


def _place_in_named_group(place: "partial[dict[str, Any]]", groups: str) -> dict[str, Any]:
    """Return where Ray places one engine; Ray itself would leave its group without a name."""
    num_workers, accelerator, config = place.args
    config = config or {"bundles": [{"GPU": 1, "CPU": 1}] * num_workers, "strategy": "PACK"}
    return place.func(num_workers, accelerator, {**config, "name": groups + uuid.uuid4().hex})


def _checkpointed(engine: Any, candidate: VllmCandidate, job: CandidateJob, finish: Finish) -> Any:
    """Return Ray's engine stage, changed in three ways.

    It renders prompts itself: a stage of its own would import the tokenizer library once more, 10
    CPU-seconds for each candidate. It writes each batch before it takes another. It reads
    answers with the parsers that the zoo names.
    """
    # The actors need no more of the job.
    num_batches, checkpoint, prompts = job.num_batches, job.checkpoint, job.prompts
    folders = job.folders
    limits, sampling = job.max_new_tokens, candidate.generation.sampling
    tokenizer = tokenizer_source(candidate)
    options = candidate.engine_kwargs if prompts.chat_template else {}

    class CheckpointedEngine(engine):  # type: ignore[misc]
        def __init__(self, *args: Any, engine_kwargs: dict[str, Any], **kwargs: Any) -> None:
            # Both fail at once, before the engine starts.
            loaded = load_tokenizer(tokenizer, needs_template=prompts.chat_template)
            self._parser = answer_parser(tokenizer, options, loaded)
            own = without_server_options(engine_kwargs)
            super().__init__(*args, engine_kwargs=own, **kwargs)
            children = multiprocessing.active_children()
            self._end = end_with_this_process(child.pid for child in children if child.pid)
            self._keeper = BatchKeeper(num_batches, finish, checkpoint)

        async def __call__(self, batch: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
            kept = await self._keeper.keep(list(batch[self.data_column]), self._answer)
            yield {self.data_column: kept}

        async def _answer(self, rows: Sequence[Row]) -> list[Row]:
            """Return answered rows in the same order; the given rows stay as they are."""
            answers: list[Row] = []
            questions = pa.Table.from_pylist(list(rows))
            rendered, images = render_prompts(questions, tokenizer, prompts, folders)
            own = {**sampling, **self._parser.sampling} if self._parser else sampling
            batch = {
                self.data_column: [
                    {
                        **row,
                        **multimodal_data(shown),
                        "sampling_params": sampling_params(row, prompts, limits, own),
                    }
                    for row, shown in zip(rendered.to_pylist(), images, strict=True)
                ]
            }
            async for done in super().__call__(batch):
                answers += [
                    neutral_row(row, limits[grader_name(row)], self._parser)
                    for row in done[self.data_column]
                ]
            return answers

    return CheckpointedEngine


def engine_environment(candidate: VllmCandidate) -> dict[str, Any]:
    """Return the Ray runtime environment of the engines; settings of the zoo file win."""
    own = dict(candidate.llm_config.get("runtime_env") or {})
    defaults = {
        # Several CPU engines on one machine would all pin their threads to the same cores.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
    }
    if not _wants_gpu(candidate):
        # Keeps vLLM from moving the model into a third process: 10 CPU-seconds and 0.5 GB less.
        defaults["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    if candidate.is_directory:
        defaults["HF_HUB_OFFLINE"] = "1"
    return {**own, "env_vars": {**defaults, **own.get("env_vars", {})}}


def _engine_kwargs(candidate: VllmCandidate) -> dict[str, Any]:
    """Return the zoo's own; on a CPU that would emulate bfloat16, float32 is the default dtype."""
    if _wants_gpu(candidate) or native_dtype() != "float32":
        return candidate.engine_kwargs
    return {"dtype": "float32", **candidate.engine_kwargs}


def _wants_gpu(candidate: VllmCandidate) -> bool:
    placement = candidate.llm_config.get("placement_group_config") or {}
    bundles = [*placement.get("bundles", ()), placement.get("bundle_per_worker")]
    asked = [bundle for bundle in bundles if bundle]
    return not asked or any(bundle.get("GPU") for bundle in asked)
