"""A candidate's ``llm_config`` as Ray gets it: the zoo's mapping, with Ray's traps closed.

Whatever the zoo file states is kept; only what it leaves open is filled in.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelsat.errors import ZooError
from modelsat.processor import native_dtype
from modelsat.zoo.engines.vllm import VllmCandidate
from serve_app.config import CandidateOptions

_HARDWARE_KEYS = ("accelerator_type", "accelerator_config", "placement_group_config")

_QUIET = {
    "RAYLLM_ENABLE_REQUEST_PROMPT_LOGS": "0",
    "VLLM_NO_USAGE_STATS": "1",
}
# Several engines on one machine would all pin their threads to the same cores.
_UNBOUND_THREADS = {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}
# `enforce_eager` spares the sampler; on a CPU its first use compiles C++ for 20 s.
_NO_COMPILATION = {"TORCH_COMPILE_DISABLE": "1"}


def complete_llm_config(candidate: VllmCandidate, options: CandidateOptions) -> dict[str, Any]:
    """Fill in what the zoo leaves open.

    - ``model_id`` becomes the candidate's name, so that answers name the model clients pin;
    - streamed tokens leave at once (Ray holds them back 50 ms);
    - bounded requests per replica and in its queue, and a reachable scale-up target;
    - time to finish streams when it is stopped (Serve's own 20 s would cut them);
    - engine metrics off, no usage reports, no prompts in logs;
    - CPU engines do not pin their threads, and compile nothing when asked to run eagerly;
    - CPU engines compute in float32 where the processor would emulate bfloat16, vLLM's default.
    """
    llm_config = copy.deepcopy(candidate.llm_config)
    loading = llm_config["model_loading_config"]
    loading["model_id"] = candidate.name
    if Path(candidate.source).is_dir():
        loading["model_source"] = str(Path(candidate.source).resolve())
    llm_config.setdefault("log_engine_metrics", False)
    experimental = llm_config.setdefault("experimental_configs", {})
    experimental.setdefault("stream_batching_interval_ms", 0)
    deployment = llm_config.setdefault("deployment_config", {})
    deployment.setdefault("max_ongoing_requests", options.max_ongoing_requests)
    deployment.setdefault("max_queued_requests", options.max_queued_requests)
    deployment.setdefault("graceful_shutdown_timeout_s", options.drain_timeout_s)
    if isinstance(deployment.get("autoscaling_config"), dict):
        deployment["autoscaling_config"].setdefault(
            "target_ongoing_requests", options.target_ongoing_requests
        )
    runtime_env = llm_config.setdefault("runtime_env", {})
    defaults = dict(_QUIET)
    if not _wants_accelerator(llm_config):
        defaults.update(_UNBOUND_THREADS)
        if native_dtype() == "float32":
            llm_config["engine_kwargs"] = {"dtype": "float32", **candidate.engine_kwargs}
        if candidate.engine_kwargs.get("enforce_eager"):
            defaults.update(_NO_COMPILATION)
    runtime_env["env_vars"] = {**defaults, **(runtime_env.get("env_vars") or {})}
    return llm_config


def scales_to_zero(candidate: VllmCandidate) -> bool:
    """Whether a candidate may have no replica while nobody asks for it."""
    deployment = candidate.llm_config.get("deployment_config") or {}
    autoscaling = deployment.get("autoscaling_config") or {}
    return isinstance(autoscaling, Mapping) and autoscaling.get("min_replicas") == 0


def check_hardware(candidate: VllmCandidate, num_gpus: float) -> None:
    """Refuse a candidate for which Ray would wait for a GPU that the cluster lacks.

    Raises:
        ZooError: its ``llm_config`` names no hardware and the cluster has no GPU.
    """
    if num_gpus == 0 and not any(candidate.llm_config.get(key) for key in _HARDWARE_KEYS):
        raise ZooError(
            f"candidate {candidate.name!r}: llm_config names no hardware, so Ray would wait for "
            "a GPU, and the cluster has none; add placement_group_config: "
            "{bundles: [{CPU: 1}]} to run it on a CPU, or join a cluster with GPUs"
        )


def _wants_accelerator(llm_config: dict[str, Any]) -> bool:
    if llm_config.get("accelerator_type"):
        return True
    kind = (llm_config.get("accelerator_config") or {}).get("kind", "cpu")
    placement = llm_config.get("placement_group_config") or {}
    bundles = [*(placement.get("bundles") or []), placement.get("bundle_per_worker") or {}]
    return kind != "cpu" or any(bundle.get("GPU") or bundle.get("TPU") for bundle in bundles)
