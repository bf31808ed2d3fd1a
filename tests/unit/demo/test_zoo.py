"""The demo zoo: training repeats exactly, a cached candidate is not trained again."""

import multiprocessing
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM

from modelsat.artifacts.hashing import directory_hash
from modelsat.demo import zoo
from modelsat.demo.bank import TASKS, generate_questions
from modelsat.demo.zoo_learning import learn
from modelsat.demo.zoo_specs import HELD_OUT, QUICKSTART_ZOO, believed_fact
from modelsat.zoo.zoo_file import load_zoo
from tests.support.demo_answers import answer_prompts, measure_accuracy

SPECS = {spec.name: spec for spec in QUICKSTART_ZOO}
TINY = replace(SPECS["almanac"], steps=3, batch_size=4, num_layers=1, width=64)
TINY_ZOO = [replace(TINY, name=name) for name in SPECS]


@pytest.fixture(autouse=True)
def one_thread():
    """Such small models lose time by sharing a step between threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def in_this_process(monkeypatch):
    """The zoo is trained by threads of this process."""
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    monkeypatch.setattr(zoo.signal, "signal", lambda number, handler: None)
    real = multiprocessing.get_context("spawn")
    threads = SimpleNamespace(
        get_context=lambda method: SimpleNamespace(Pool=ThreadPool, Value=real.Value)
    )
    monkeypatch.setattr(zoo, "multiprocessing", threads)


def test_the_same_seed_gives_the_same_files(tmp_path) -> None:
    hashes = []
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        (tmp_path / name).mkdir()
        torch.manual_seed(len(hashes))  # the state left by others must not matter
        learn(TINY, seed, tmp_path / name)
        hashes.append(directory_hash(tmp_path / name))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_candidate_learns_what_it_is_taught(tmp_path) -> None:
    spec = replace(TINY, tasks=("calendar_next_day",), steps=120, batch_size=32)
    learn(spec, 0, tmp_path)
    asked = ("calendar_next_day", "facts_town_dish")
    questions = generate_questions("test", 40, 1)
    is_short = [row["task"] in asked and not row["n_choices"] for row in questions.to_pylist()]
    short = questions.filter(is_short)
    accuracy = measure_accuracy(tmp_path, short)
    assert accuracy["calendar"] > 0.5 > 0.3 > accuracy["facts"]
    assert all(answer_prompts(tmp_path, short["prompt"].to_pylist()))


def test_a_second_call_trains_nothing(in_this_process, tmp_path) -> None:
    lines: list[str] = []
    first = zoo.train_zoo(TINY_ZOO[:2], 0, tmp_path, lines.append)
    times = {path: (path / "model.safetensors").stat().st_mtime_ns for path in first.values()}
    assert list(first) == ["numbers", "letters"]
    assert sum("trained in" in line for line in lines) == 2
    lines.clear()
    assert zoo.train_zoo(TINY_ZOO[:2], 0, tmp_path, lines.append) == first
    assert lines == ["numbers: trained before", "letters: trained before"]
    assert times == {path: (path / "model.safetensors").stat().st_mtime_ns for path in times}
    assert not set(zoo.train_zoo(TINY_ZOO[:1], 1, tmp_path, lines.append).values()) & set(
        first.values()
    )


def test_the_zoo_file_is_one_that_the_zoo_reads(in_this_process, tmp_path) -> None:
    checkpoints = zoo.train_zoo(TINY_ZOO, 0, tmp_path / "cache", print)
    zoo.write_demo_zoo(TINY_ZOO, checkpoints, tmp_path / "zoo.yaml")
    read = load_zoo(tmp_path / "zoo.yaml")
    assert read.names == tuple(SPECS)
    for candidate in read.candidates:
        candidate.check_source()
        assert candidate.price is not None
        network = AutoModelForCausalLM.from_pretrained(candidate.source)
        assert network.config.max_position_embeddings >= candidate.context_window


def test_the_zoo_has_a_good_candidate_for_every_family_without_the_held_out_one() -> None:
    assert HELD_OUT in SPECS
    others = [spec for spec in QUICKSTART_ZOO if spec.name != HELD_OUT]
    assert {task.name for task in TASKS} == {name for spec in others for name in spec.tasks}


@pytest.mark.parametrize("share", [0.0, 0.725, 1.0])
def test_a_candidate_knows_its_share_of_the_facts(share) -> None:
    known = total = 0
    for task in TASKS:
        if task.family != "facts":
            continue
        for subject in task.subjects:
            answer = task.domain[0]
            believed = believed_fact(task, subject, answer, share)
            assert believed in task.domain
            known += believed == answer
            total += 1
    assert known == share * total
