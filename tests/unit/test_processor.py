"""Precision follows from what the processor computes natively; processors are simulated."""

import logging
import os
from dataclasses import replace

import pytest

from modelsat import processor
from modelsat.processor import Processor, native_dtype, parse_cpuinfo
from train_jobs.config import DeepSpeedConfig

# The flags that matter, as Linux lists them among some hundred others.
AVX2 = "fpu sse4_2 avx f16c fma avx2 avx_vnni"
SKYLAKE = f"{AVX2} avx512f avx512dq avx512bw avx512vl avx512_vnni"
ZEN_4 = f"{SKYLAKE} avx512_bf16"
SAPPHIRE_RAPIDS = f"{ZEN_4} avx512_fp16 amx_bf16 amx_tile amx_int8"
PROCESSORS = {
    "AVX2": (AVX2, ("avx2",), "float32"),
    "AVX-512 without bfloat16": (SKYLAKE, ("avx2", "avx512f"), "float32"),
    "AVX-512 BF16": (ZEN_4, ("avx2", "avx512f", "avx512_bf16"), "bfloat16"),
    "AMX": (SAPPHIRE_RAPIDS, ("avx2", "avx512f", "avx512_bf16", "amx_bf16"), "bfloat16"),
}


def cpuinfo(flags: str, key: str = "flags") -> str:
    core = f"model name\t: Some   Processor @ 2 GHz\nbogomips\t: 4200\n{key}\t\t: {flags}\n\n"
    return f"processor\t: 0\n{core}processor\t: 1\n{core}"


@pytest.mark.parametrize(("flags", "sets", "dtype"), PROCESSORS.values(), ids=PROCESSORS)
def test_the_native_dtype_follows_from_the_instruction_sets(flags, sets, dtype):
    found = parse_cpuinfo(cpuinfo(flags), {})
    assert found == Processor("Some Processor @ 2 GHz", sets)
    assert found.native_dtype == dtype


@pytest.mark.parametrize(
    ("flags", "dtype"), [("fp asimd sve bf16 i8mm", "bfloat16"), ("fp asimd", "float32")]
)
def test_arm_lists_features(flags, dtype):
    assert parse_cpuinfo(cpuinfo(flags, "Features"), {}).native_dtype == dtype


def test_a_system_without_cpuinfo_computes_in_float32():
    found = parse_cpuinfo("", {})
    assert found == Processor(os.uname().machine, ())
    assert found.native_dtype == "float32"


@pytest.mark.parametrize(
    ("name", "value", "dtype"),
    [
        ("ATEN_CPU_CAPABILITY", "avx2", "float32"),
        ("ATEN_CPU_CAPABILITY", "default", "float32"),
        ("ATEN_CPU_CAPABILITY", "avx512", "bfloat16"),
        ("ONEDNN_MAX_CPU_ISA", "AVX2", "float32"),
        ("ONEDNN_MAX_CPU_ISA", "DEFAULT", "bfloat16"),
    ],
)
def test_limits_that_torch_and_onednn_are_given_are_followed(name, value, dtype):
    assert parse_cpuinfo(cpuinfo(SAPPHIRE_RAPIDS), {name: value}).native_dtype == dtype


def test_the_reason_names_what_decided():
    assert "(avx512_bf16, amx_bf16)" in parse_cpuinfo(cpuinfo(SAPPHIRE_RAPIDS), {}).reason
    assert "none of amx_bf16, avx512_bf16, bf16" in parse_cpuinfo(cpuinfo(AVX2), {}).reason


def test_the_choice_is_logged_once(monkeypatch, caplog):
    found = parse_cpuinfo(cpuinfo(SAPPHIRE_RAPIDS), {})
    other = replace(found, name="Another")
    caplog.set_level(logging.INFO, logger=processor.__name__)
    for here in (found, found, other):
        monkeypatch.setattr(processor, "local_processor", lambda device, here=here: here)
        assert native_dtype() == "bfloat16"
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [f"precision auto: bfloat16; {one.reason}" for one in (found, other)]


@pytest.mark.parametrize(
    ("configured", "dtype", "precision"),
    [
        ("auto", "float32", "float32"),
        ("auto", "bfloat16", "autocast"),
        ("bf16", "float32", "bf16"),
        ("autocast", "float32", "autocast"),
        ("float32", "bfloat16", "float32"),
    ],
)
def test_training_follows_unless_the_job_says_otherwise(configured, dtype, precision):
    options = DeepSpeedConfig(precision=configured, zero_stage=3)
    assert options.resolved(dtype) == DeepSpeedConfig(precision=precision, zero_stage=3)
    assert options.resolved(dtype).resolved_precision == precision


def test_training_never_starts_with_an_open_precision():
    assert DeepSpeedConfig().precision == "auto"
    with pytest.raises(ValueError, match="not resolved"):
        _ = DeepSpeedConfig().resolved_precision
