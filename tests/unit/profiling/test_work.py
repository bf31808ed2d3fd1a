"""What a run finds to do, and what it refuses before any engine starts."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from modelsat.aptitude.images import ImageWriter
from modelsat.aptitude.prompts import PromptConfig
from modelsat.artifacts.schemas import OUTCOMES, QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.errors import ArtifactError, ConfigError, MachineError, ZooError
from profiling import work as work_module
from profiling.checkpoint import GRADED
from profiling.config import ProfileConfig, RemoteConfig
from profiling.dry_run import describe_plan
from profiling.runner import make_job
from profiling.work import Work, check_writable, plan_run
from tests.support.drawn_images import drawn
from tests.support.profiling.zoo_files import QUESTION_IDS, questions


def _hashes(config: ProfileConfig) -> list[str]:
    return [work.work_hash for work in plan_run(config).works]


def _write_outcomes(work: Work, **manifest: str) -> None:
    row = {"question_id": "q0", "candidate": work.candidate.name}
    finished = {"candidate": work.candidate.name, "work_hash": work.work_hash}
    write_table(OUTCOMES, [row], work.path, {**finished, **manifest})


def test_plan_covers_every_candidate_and_question(config: ProfileConfig) -> None:
    plan = plan_run(config)
    assert tuple(plan.rows) == QUESTION_IDS
    assert [work.path.name for work in plan.works] == ["alpha.parquet", "beta-2.parquet"]
    assert plan.refused == {}
    assert all(Path(path).is_absolute() for path in plan.questions)


def test_hash_does_not_depend_on_paths(config: ProfileConfig, tmp_path: Path) -> None:
    moved = tmp_path / "moved.parquet"
    shutil.copy(config.questions[1], moved)
    elsewhere = config.model_copy(update={"questions": (moved, config.questions[0])})
    assert _hashes(elsewhere) == _hashes(config)


def test_hash_depends_on_everything_that_affects_answers(
    config: ProfileConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {tuple(_hashes(config))}

    def expect_new(hashes: list[str]) -> None:
        assert tuple(hashes) not in seen
        seen.add(tuple(hashes))

    expect_new(_hashes(config.model_copy(update={"max_new_tokens": 99})))
    plain = PromptConfig(chat_template=False)
    expect_new(_hashes(config.model_copy(update={"prompt": plain})))
    zoo = config.zoo.read_text()
    config.zoo.write_text(zoo.replace("max_model_len: 64", "max_model_len: 32"))
    expect_new(_hashes(config))
    config.zoo.write_text(zoo)
    save_file({"weight": np.full(4, 7.0)}, config.zoo.parent / "model0" / "model.safetensors")
    expect_new(_hashes(config))
    write_table(QUESTIONS, questions("q3", "q4", "other"), config.questions[1])
    expect_new(_hashes(config))


def test_hashes_are_stable_across_releases(
    config: ProfileConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another hash would make finished work start again."""
    _add_remote(config)
    zoo = yaml.safe_load(config.zoo.read_text())
    zoo["candidates"][0]["llm_config"]["model_loading_config"]["model_source"] = "hub/near"
    config.zoo.write_text(yaml.safe_dump(zoo))
    monkeypatch.setattr(work_module, "file_hash", lambda path: "0123456789abcdef")
    monkeypatch.setattr(work_module, "_HASHED_GRADING", 1)
    limits = {"far": RemoteConfig(request_fields={"temperature": None})}
    changes = {"remote": limits, "tasks": None, "questions": config.questions[:1]}
    near, _, far = _hashes(config.model_copy(update=changes))
    assert (near, far) == ("9b47f51fbe321337", "dddd33283abd62ee")


def _add_remote(config: ProfileConfig, **changes: Any) -> None:
    remote = {
        "name": "far",
        "engine": "openai",
        "base_url": "http://far.test/v1",
        "model": "m",
        "context_window": 64,
        **changes,
    }
    zoo = yaml.safe_load(config.zoo.read_text())
    local = [entry for entry in zoo["candidates"] if entry["engine"] == "vllm"]
    config.zoo.write_text(yaml.safe_dump({"version": 1, "candidates": [*local, remote]}))


def test_remote_candidate_is_work_too(config: ProfileConfig) -> None:
    _add_remote(config)
    plan = plan_run(config)
    assert [work.candidate.name for work in plan.works] == ["alpha", "Beta/2", "far"]
    assert plan.refused == {}


@pytest.mark.parametrize("values", [{"chat_template": False}, {"scoring": "loglikelihood"}])
def test_remote_candidate_supports_only_chat(config: ProfileConfig, values: dict[str, Any]) -> None:
    _add_remote(config)
    for path in config.questions:
        table = read_table(QUESTIONS, path)
        options = [{**row, "n_choices": 2, "answer": "A"} for row in table.to_pylist()]
        write_table(QUESTIONS, options, path)
    asked = config.model_copy(update={"prompt": PromptConfig.model_validate(values)})
    plan = plan_run(asked)
    assert [work.candidate.name for work in plan.works] == ["alpha", "Beta/2"]
    assert "returns no likelihoods of options" in plan.refused["far"]


def test_likelihoods_need_options(config: ProfileConfig) -> None:
    asked = config.model_copy(update={"prompt": PromptConfig(scoring="loglikelihood")})
    with pytest.raises(ArtifactError, match="6 of 6 questions have none"):
        plan_run(asked)


def test_hash_depends_on_everything_that_affects_remote_answers(config: ProfileConfig) -> None:
    def remote_hash(limits: RemoteConfig | None = None, **changes: Any) -> str:
        _add_remote(config, **changes)
        remote = {"far": limits} if limits else {}
        return _hashes(config.model_copy(update={"remote": remote}))[2]

    first = remote_hash()
    assert remote_hash(RemoteConfig(concurrency=1, max_retries=0)) == first
    assert remote_hash(api_key_env="KEY", base_url="http://far.test/v1/") == first
    changed = {
        remote_hash(model="n"),
        remote_hash(base_url="http://other.test/v1"),
        remote_hash(RemoteConfig(request_fields={"temperature": None})),
        first,
    }
    assert len(changed) == 4


def test_rejects_remote_limits_of_local_candidates(config: ProfileConfig) -> None:
    _add_remote(config)
    wrong = config.model_copy(update={"remote": {"alpha": RemoteConfig()}})
    with pytest.raises(ConfigError, match=r"'alpha' is not a candidate at a URL in .* holds far"):
        plan_run(wrong)


def test_hash_does_not_depend_on_resources(config: ProfileConfig) -> None:
    means = {"replicas": 3, "batch_size": 7, "block_size": 21, "max_parallel_candidates": 2}
    assert _hashes(config.model_copy(update=means)) == _hashes(config)


def test_checkpoint_belongs_to_a_candidate_and_a_hash(
    config: ProfileConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.output_dir.parent)
    config = config.model_copy(update={"output_dir": Path("out")})
    changed = config.model_copy(update={"max_new_tokens": 99})
    works = [*plan_run(config).works, *plan_run(changed).works]
    assert len({work.checkpoint.folder for work in works}) == 4
    assert all(work.checkpoint.folder.is_absolute() for work in works)
    assert [work.checkpoint for work in plan_run(config).works] == [
        work.checkpoint for work in works[:2]
    ]


def test_work_is_done_only_with_its_own_hash(config: ProfileConfig) -> None:
    work = plan_run(config).works[0]
    assert not work.is_done()
    _write_outcomes(work)
    assert work.is_done()
    _write_outcomes(work, work_hash="of something else")
    assert not work.is_done()
    _write_outcomes(work, candidate="another")
    assert not work.is_done()


def test_corrupt_file_is_not_done(config: ProfileConfig) -> None:
    work = plan_run(config).works[0]
    _write_outcomes(work)
    work.path.write_bytes(work.path.read_bytes()[:-8])
    assert not work.is_done()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", None, "no config.json"),
        ("config.json", b"{", "not readable JSON"),
        ("model.safetensors", None, "no \\*.safetensors"),
        ("model.safetensors", b"not a checkpoint", "model.safetensors is corrupt or cut short"),
    ],
)
def test_invalid_model_directory_fails_only_its_candidate(
    config: ProfileConfig, name: str, content: bytes | None, said: str
) -> None:
    file = config.zoo.parent / "model0" / name
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    plan = plan_run(config)
    assert [work.candidate.name for work in plan.works] == ["Beta/2"]
    assert list(plan.refused) == ["alpha"]
    with pytest.raises(ZooError, match=said):
        raise ZooError(plan.refused["alpha"])


def test_rejects_truncated_weights(config: ProfileConfig) -> None:
    weights = config.zoo.parent / "model1" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    assert "corrupt or cut short" in plan_run(config).refused["Beta/2"]


def test_rejects_an_unknown_candidate(config: ProfileConfig) -> None:
    with pytest.raises(ZooError, match=r"unknown candidate 'gamma'; the zoo holds alpha, Beta/2"):
        plan_run(config.model_copy(update={"candidates": ("gamma",)}))


def test_rejects_a_question_in_two_tables(config: ProfileConfig) -> None:
    write_table(QUESTIONS, questions("q0", "q5"), config.questions[1])
    with pytest.raises(ArtifactError, match=r"question 'q0' occurs in .* and in "):
        plan_run(config)


def test_rejects_tables_without_questions(config: ProfileConfig) -> None:
    for path in config.questions:
        write_table(QUESTIONS, [], path)
    with pytest.raises(ArtifactError, match="no question in them"):
        plan_run(config.model_copy(update={"tasks": None}))


def test_core_tasks_must_be_among_the_questions(config: ProfileConfig) -> None:
    with pytest.raises(ArtifactError, match=r"3 of 3 aptitude questions are in none of .*'q0'"):
        plan_run(config.model_copy(update={"questions": config.questions[1:]}))


def test_rejects_an_output_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MachineError, match="cannot create output_dir"):
        check_writable(tmp_path / "file" / "out")


def test_a_candidate_is_not_asked_questions_that_it_cannot_read(config: ProfileConfig) -> None:
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    request = {"messages": [{"role": "user", "content": "1 + 1?"}], "tools": [tool]}
    rows = read_table(QUESTIONS, config.questions[1]).to_pylist()
    rows[0]["request"] = json.dumps(request)
    write_table(QUESTIONS, rows, config.questions[1])
    zoo = yaml.safe_load(config.zoo.read_text())
    zoo["candidates"][0]["tools"] = True
    config.zoo.write_text(yaml.safe_dump(zoo))
    with_tools, without = plan_run(config).works
    assert with_tools.question_ids == QUESTION_IDS
    assert without.question_ids == (*QUESTION_IDS[:3], *QUESTION_IDS[4:])
    described = describe_plan(plan_run(config), config)
    assert [row["num_not_read"] for row in described["candidates"]] == [0, 1]
    job = make_job(without, GRADED.arrow.empty_table(), plan_run(config), config, "g")
    assert job.settled.to_pylist() == ["q3"]


def _with_image(config: ProfileConfig) -> str:
    """Give the first training question an image; return its entry."""
    table = config.questions[1]
    rows = read_table(QUESTIONS, table).to_pylist()
    rows[0]["images"] = [ImageWriter(table.parent).store(drawn("red"), table.parent)]
    write_table(QUESTIONS, rows, table)
    return rows[0]["images"][0]


def test_images_are_asked_of_candidates_that_read_them(config: ProfileConfig) -> None:
    _with_image(config)
    zoo = yaml.safe_load(config.zoo.read_text())
    zoo["candidates"][0]["modalities"] = ["text", "image"]
    config.zoo.write_text(yaml.safe_dump(zoo))
    sees, blind = plan_run(config).works
    assert sees.question_ids == QUESTION_IDS
    assert blind.question_ids == (*QUESTION_IDS[:3], *QUESTION_IDS[4:])


def test_a_missing_image_is_named_before_anything_starts(config: ProfileConfig) -> None:
    name = _with_image(config)
    (config.questions[1].parent / name).unlink()
    with pytest.raises(ArtifactError, match=f"image {name} is in none of"):
        plan_run(config)
