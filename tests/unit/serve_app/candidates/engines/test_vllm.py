import copy

import pytest

from modelsat import processor
from modelsat.errors import ZooError
from modelsat.processor import Processor
from modelsat.zoo.engines.vllm import VllmCandidate
from serve_app.candidates.engines.vllm import Engine, complete_llm_config
from serve_app.config import CandidateOptions

CPU = {"bundles": [{"CPU": 1}]}


def candidate(name="org/small", **llm_config):
    llm_config = {"model_loading_config": {"model_source": "org/weights"}, **llm_config}
    return VllmCandidate(name=name, engine="vllm", llm_config=llm_config, context_window=8)


def complete(**llm_config):
    return complete_llm_config(candidate(**llm_config), CandidateOptions())


def test_answers_name_the_candidate():
    loading = complete(model_loading_config={"model_source": "s", "model_id": "other"})
    assert loading["model_loading_config"] == {"model_source": "s", "model_id": "org/small"}


def test_a_model_directory_becomes_absolute(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    loading = complete(model_loading_config={"model_source": "weights"})["model_loading_config"]
    assert loading["model_source"] == str(tmp_path / "weights")


def test_settings_that_ray_leaves_unlimited_get_limits():
    completed = complete(deployment_config={"autoscaling_config": {"max_replicas": 3}})
    options = CandidateOptions()
    assert completed["log_engine_metrics"] is False
    assert completed["experimental_configs"] == {"stream_batching_interval_ms": 0}
    assert completed["deployment_config"] == {
        "max_ongoing_requests": options.max_ongoing_requests,
        "max_queued_requests": options.max_queued_requests,
        "graceful_shutdown_timeout_s": options.drain_timeout_s,
        "autoscaling_config": {
            "max_replicas": 3,
            "target_ongoing_requests": options.target_ongoing_requests,
        },
    }


def test_settings_of_the_zoo_are_kept():
    stated = {
        "log_engine_metrics": True,
        "experimental_configs": {"stream_batching_interval_ms": 20},
        "engine_kwargs": {"max_model_len": 64, "dtype": "bfloat16"},
        "placement_group_config": CPU,
        "runtime_env": {"env_vars": {"VLLM_CPU_OMP_THREADS_BIND": "0-1", "MINE": "1"}},
        "deployment_config": {
            "max_ongoing_requests": 3,
            "max_queued_requests": -1,
            "max_constructor_retry_count": 5,
            "graceful_shutdown_timeout_s": 7,
            "autoscaling_config": {"min_replicas": 0, "target_ongoing_requests": 1},
        },
    }
    completed = complete(**copy.deepcopy(stated))
    environment = completed.pop("runtime_env")["env_vars"]
    assert environment.items() >= stated.pop("runtime_env")["env_vars"].items()
    assert {key: completed[key] for key in stated} == stated


def test_the_mapping_of_the_zoo_is_not_modified():
    original = candidate(deployment_config={"autoscaling_config": {}})
    before = copy.deepcopy(original.llm_config)
    complete_llm_config(original, CandidateOptions())
    assert original.llm_config == before


@pytest.mark.parametrize(
    ("llm_config", "unbound", "uncompiled"),
    [
        ({"placement_group_config": CPU}, True, False),
        ({"placement_group_config": CPU, "engine_kwargs": {"enforce_eager": True}}, True, True),
        ({"accelerator_type": "L4", "engine_kwargs": {"enforce_eager": True}}, False, False),
        ({"placement_group_config": {"bundles": [{"GPU": 1}]}}, False, False),
        ({"placement_group_config": {"bundle_per_worker": {"GPU": 1}}}, False, False),
        ({"accelerator_config": {"kind": "tpu"}}, False, False),
        ({"accelerator_config": {"kind": "cpu"}}, True, False),
    ],
)
def test_only_cpu_engines_get_cpu_settings(llm_config, unbound, uncompiled):
    environment = complete(**llm_config)["runtime_env"]["env_vars"]
    assert (environment.get("VLLM_CPU_OMP_THREADS_BIND") == "nobind") is unbound
    assert ("TORCH_COMPILE_DISABLE" in environment) is uncompiled


@pytest.mark.parametrize(
    ("llm_config", "sets", "dtype"),
    [
        ({"placement_group_config": CPU}, ("avx2",), "float32"),
        ({"placement_group_config": CPU}, ("avx512_bf16",), None),
        ({"placement_group_config": {"bundles": [{"GPU": 1}]}}, ("avx2",), None),
        (
            {"placement_group_config": CPU, "engine_kwargs": {"dtype": "bfloat16"}},
            ("avx2",),
            "bfloat16",
        ),
    ],
)
def test_cpu_engines_emulate_bfloat16_only_if_configured(monkeypatch, llm_config, sets, dtype):
    monkeypatch.setattr(processor, "local_processor", lambda device: Processor("simulated", sets))
    assert complete(**llm_config).get("engine_kwargs", {}).get("dtype") == dtype


def test_no_usage_reports_and_no_prompts_in_logs():
    environment = complete()["runtime_env"]["env_vars"]
    assert environment["VLLM_NO_USAGE_STATS"] == "1"
    assert environment["RAYLLM_ENABLE_REQUEST_PROMPT_LOGS"] == "0"


def test_a_candidate_without_hardware_is_refused_where_there_is_no_gpu():
    with pytest.raises(ZooError, match="placement_group_config"):
        Engine(candidate()).check_hardware(num_gpus=0)


@pytest.mark.parametrize(
    ("llm_config", "num_gpus"),
    [({}, 1), ({"placement_group_config": CPU}, 0), ({"accelerator_type": "L4"}, 0)],
)
def test_stated_hardware_or_a_gpu_is_accepted(llm_config, num_gpus):
    Engine(candidate(**llm_config)).check_hardware(num_gpus)
