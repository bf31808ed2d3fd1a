"""Candidates that this cluster runs with vLLM: one Ray Serve LLM application each.

Settings of the zoo file are kept; only what it leaves out gets our defaults in place of Ray's.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from ray.serve import Application

from modelsat.errors import MachineError, ZooError
from modelsat.processor import native_dtype
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.engines.vllm import VllmCandidate
from serve_app.candidates.engines.protocol import ClusterEngine
from serve_app.candidates.local import LocalClient
from serve_app.config import CandidateOptions
from serve_app.throughput import QUIET_LOGS

_HARDWARE_KEYS = ("accelerator_type", "accelerator_config", "placement_group_config")

_QUIET = {
    "RAYLLM_ENABLE_REQUEST_PROMPT_LOGS": "0",
    "VLLM_NO_USAGE_STATS": "1",
}
_ON_CPUS = {
    # Several engines on one machine would all pin their threads to the same cores.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
# `enforce_eager` does not cover the sampler, whose first use on a CPU compiles C++ for 20 s.
_NO_COMPILATION = {"TORCH_COMPILE_DISABLE": "1"}


class Engine(ClusterEngine):
    """The vLLM replicas of one candidate.

    Args:
        candidate: its ``llm_config``.
    """

    def __init__(self, candidate: VllmCandidate) -> None:
        self._candidate = candidate

    def open_client(self, pool: aiohttp.ClientSession) -> LocalClient:
        """Return a client of the candidate's Serve application, which need not run yet."""
        return LocalClient(
            self._candidate.name,
            self._candidate.application_name,
            engine_name=self._candidate.engine_name,
            scales_to_zero=scales_to_zero(self._candidate),
        )

    def can_become(self, changed: Candidate) -> bool:
        """Return whether the running engine serves the changed entry too.

        An engine keeps the name and the ``llm_config`` that it started with.
        """
        if not isinstance(changed, VllmCandidate):
            return False
        mine = self._candidate
        return (changed.engine_name, changed.llm_config) == (mine.engine_name, mine.llm_config)

    def check_hardware(self, num_gpus: float) -> None:
        """Check that Ray would not wait for a GPU that the cluster does not have.

        Raises:
            ZooError: ``llm_config`` names no hardware and the cluster has no GPU.
        """
        options = self._candidate.llm_config
        if num_gpus == 0 and not any(options.get(key) for key in _HARDWARE_KEYS):
            raise ZooError(
                f"candidate {self._candidate.name!r}: llm_config names no hardware, so Ray would "
                "wait for a GPU, and the cluster has none; add placement_group_config: "
                "{bundles: [{CPU: 1}]} to run it on a CPU, or join a cluster with GPUs"
            )

    def configuration(self, options: CandidateOptions) -> dict[str, Any]:
        """Return the complete ``llm_config``."""
        return complete_llm_config(self._candidate, options)

    def build(self, options: CandidateOptions) -> Application:
        """Return the Serve application; imports vLLM.

        Raises:
            ZooError: Ray or vLLM refuses ``llm_config``.
            MachineError: vLLM is not installed.
        """
        try:
            from ray.serve.llm import LLMConfig, build_llm_deployment

            from serve_app.candidates.engines.vllm_server import CandidateServer
        except ImportError as error:
            raise MachineError(
                f"vLLM cannot be imported: {error}; install the version that the pin list names"
            ) from None
        try:
            return build_llm_deployment(
                LLMConfig(**self.configuration(options)),
                deployment_cls=CandidateServer,
                override_serve_options={"logging_config": QUIET_LOGS},
            )
        except (ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise ZooError(
                f"candidate {self._candidate.name!r}: llm_config is refused: {reason[:400]}"
            ) from None


def complete_llm_config(candidate: VllmCandidate, options: CandidateOptions) -> dict[str, Any]:
    """Return ``llm_config`` with defaults for the settings that the zoo file leaves out.

    - ``model_id`` becomes the name of the candidate whose engine it is;
    - streamed tokens leave at once (Ray's default holds them back 50 ms);
    - a replica and its queue hold a limited number of requests, and scale-up has a target;
    - a replica that stops has time to finish its streams (Serve's default of 20 s cuts them);
    - engine metrics, usage reports and prompts in logs are off;
    - CPU engines do not pin their threads, have one process beside the replica's own, and compile
      nothing if they run eagerly;
    - CPU engines compute in float32 if the processor would emulate bfloat16, vLLM's default.
    """
    llm_config = copy.deepcopy(candidate.llm_config)
    loading = llm_config["model_loading_config"]
    loading["model_id"] = candidate.engine_name
    if candidate.is_directory:
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
        defaults.update(_ON_CPUS)
        if native_dtype() == "float32":
            llm_config["engine_kwargs"] = {"dtype": "float32", **candidate.engine_kwargs}
        if candidate.engine_kwargs.get("enforce_eager"):
            defaults.update(_NO_COMPILATION)
    runtime_env["env_vars"] = {**defaults, **(runtime_env.get("env_vars") or {})}
    return llm_config


def scales_to_zero(candidate: VllmCandidate) -> bool:
    """Return whether the candidate may have no replica while it gets no requests."""
    deployment = candidate.llm_config.get("deployment_config") or {}
    autoscaling = deployment.get("autoscaling_config") or {}
    return isinstance(autoscaling, Mapping) and autoscaling.get("min_replicas") == 0


def _wants_accelerator(llm_config: dict[str, Any]) -> bool:
    if llm_config.get("accelerator_type"):
        return True
    kind = (llm_config.get("accelerator_config") or {}).get("kind", "cpu")
    placement = llm_config.get("placement_group_config") or {}
    bundles = [*(placement.get("bundles") or []), placement.get("bundle_per_worker") or {}]
    return kind != "cpu" or any(bundle.get("GPU") or bundle.get("TPU") for bundle in bundles)
