"""Descriptions of each engine's candidates, and hashes that must never change by accident."""

import json
from pathlib import Path

import pytest

from modelsat.errors import ZooError
from modelsat.zoo.candidate import Candidate, HttpEndpoint
from modelsat.zoo.engines import CANDIDATE_TYPES, parse_candidate
from modelsat.zoo.zoo_file import Zoo


def _local(source: str, **engine_kwargs: object) -> Candidate:
    loading = {"model_id": "tiny", "model_source": source}
    llm_config = {"model_loading_config": loading, "engine_kwargs": engine_kwargs}
    return parse_candidate(
        {"name": "tiny", "engine": "vllm", "context_window": 8192, "llm_config": llm_config}
    )


def _remote(**changes: object) -> Candidate:
    return parse_candidate(
        {
            "name": "gpt-4o",
            "engine": "openai",
            "base_url": "https://api.example.com/v1/",
            "model": "gpt-4o",
            "context_window": 128000,
            **changes,
        }
    )


def test_hashes_are_stable_across_releases(tmp_path: Path) -> None:
    """Another hash would make finished profiling work start again."""
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    hub = _local("Qwen/Qwen2.5-7B-Instruct", max_model_len=8192, dtype="bfloat16")
    assert hub.content_hash() == "74cc875e98147788"
    assert _local(str(tmp_path), max_model_len=512).content_hash() == "4043d21887002a9d"
    assert _remote(api_key_env="KEY").content_hash() == "1999bc8e2c7f9ead"


def test_a_changed_chat_template_file_is_another_candidate(tmp_path: Path) -> None:
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")
    candidate = _local("org/model", chat_template=str(template))
    before = candidate.content_hash()
    assert _local("org/model", chat_template=str(template)).content_hash() == before
    template.write_text("{{ messages[-1] }}")
    assert candidate.content_hash() != before
    template.write_bytes(b"\xff{{ messages }}")
    with pytest.raises(ZooError, match=r"chat_template .* cannot be read: it is not UTF-8 text"):
        candidate.content_hash()


def test_table_maps_engines_to_types() -> None:
    for engine, candidate_type in CANDIDATE_TYPES.items():
        assert candidate_type.model_fields["engine"].annotation.__args__ == (engine,)


def test_zoo_round_trips() -> None:
    zoo = Zoo(version=1, candidates=(_local("org/model"), _remote()))
    assert Zoo.model_validate(json.loads(json.dumps(zoo.model_dump(mode="json")))) == zoo


@pytest.mark.parametrize("entry", [None, [], {}, {"engine": ["vllm"]}, {"engine": "other"}])
def test_rejects_an_entry_without_a_known_engine(entry: object) -> None:
    with pytest.raises(ValueError, match="one of vllm, openai"):
        parse_candidate(entry)


def test_only_remote_candidates_can_be_called_directly() -> None:
    assert _local("org/model").http_endpoint is None
    assert _remote(api_key_env="KEY").http_endpoint == HttpEndpoint(
        "https://api.example.com/v1", "gpt-4o", "KEY"
    )


def test_keys_are_looked_up_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    _local("org/model").check_keys()
    _remote().check_keys()
    candidate = _remote(api_key_env="SOME_KEY")
    assert candidate.key_variables == ("SOME_KEY",)
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(ZooError, match="'gpt-4o': environment variable SOME_KEY is not set"):
        candidate.check_keys()
    monkeypatch.setenv("SOME_KEY", "sk-1")
    candidate.check_keys()


def test_paths_become_absolute_and_hub_ids_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    zoo_folder = tmp_path / "zoos"
    assert _local("./weights").anchored(zoo_folder).source == str(zoo_folder / "weights")
    assert _local("weights").anchored(zoo_folder).source == str(tmp_path / "weights")
    for unchanged in (_local("org/weights"), _local(str(tmp_path)), _remote()):
        assert unchanged.anchored(zoo_folder) == unchanged
        unchanged.check_absolute()
    with pytest.raises(ZooError, match=r"model_source '\./weights' is a relative path"):
        _local("./weights").check_absolute()
