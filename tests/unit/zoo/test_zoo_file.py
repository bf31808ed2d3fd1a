import copy
import json

import pytest
import yaml

from modelsat.errors import ZooError
from modelsat.zoo.zoo_file import Zoo, load_zoo


@pytest.fixture
def model_dir(tmp_path):
    path = tmp_path / "models" / "tiny"
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (path / "model.safetensors").write_bytes(b"weights")
    return path


def candidate(name="tiny", source="./models/tiny", **changes):
    return {
        "name": name,
        "engine": "vllm",
        "llm_config": {
            "model_loading_config": {"model_id": name, "model_source": source},
            "engine_kwargs": {"max_model_len": 512},
        },
        "context_window": 512,
        **changes,
    }


@pytest.fixture
def write_zoo(tmp_path):
    def write(*candidates, **changes):
        path = tmp_path / "zoo.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "candidates": [*candidates], **changes}))
        return path

    return write


def test_llm_config_is_unchanged_except_for_a_relative_directory(write_zoo, model_dir):
    written = candidate()
    written["llm_config"]["own_key"] = {"deep": [1, None]}
    loaded = load_zoo(write_zoo(written)).get("tiny")
    expected = copy.deepcopy(written["llm_config"])
    expected["model_loading_config"]["model_source"] = str(model_dir)
    assert loaded.llm_config == expected
    assert loaded.source == str(model_dir)
    assert loaded.engine_kwargs == {"max_model_len": 512}


def remote(name="far", **changes):
    return {
        "name": name,
        "engine": "openai",
        "base_url": "https://api.example.com/v1/",
        "model": "gpt-4o",
        "context_window": 128000,
        **changes,
    }


def test_both_engines_in_a_zoo(write_zoo):
    zoo = load_zoo(write_zoo(candidate(), remote(api_key_env="OPENAI_API_KEY")))
    assert [c.name for c in zoo.local] == ["tiny"]
    far = zoo.get("far")
    assert (far.base_url, far.model, far.slug) == ("https://api.example.com/v1", "gpt-4o", "far")
    assert far.endpoints == ("chat", "completions")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"base_url": "ftp://api.example.com"}, "base_url"),
        ({"base_url": "https://user:secret@api.example.com/v1"}, "base_url"),
        ({"base_url": "https://api.example.com/v1?key=secret"}, "base_url"),
        ({"api_key_env": "sk-not a name"}, "api_key_env"),
        ({"model": ""}, "model"),
        ({"endpoints": []}, "endpoints"),
        ({"endpoints": ["audio"]}, "endpoints"),
        ({"llm_config": {}}, "llm_config"),
    ],
)
def test_error_names_an_invalid_remote_candidate(write_zoo, changes, named):
    with pytest.raises(ZooError, match=rf"candidates\.0\.{named}"):
        load_zoo(write_zoo(remote(**changes)))


def test_an_answer_must_leave_room_for_the_prompt(write_zoo):
    entry = remote(generation={"max_new_tokens": 10_000_000})
    with pytest.raises(
        ZooError, match=r"max_new_tokens is 10000000; it must be below context_window"
    ):
        load_zoo(write_zoo(entry))


def test_price_is_per_million_tokens_of_each_kind(write_zoo):
    price = {"input_usd_per_mtok": 2.5, "output_usd_per_mtok": 10}
    known = load_zoo(write_zoo(remote(price=price))).get("far").price
    assert known.cost_usd(1_000_000, 0) == 2.5
    assert known.cost_usd(400, 100) == pytest.approx(0.002)  # 0.001 of each


def test_hub_id_is_unchanged(write_zoo):
    loaded = load_zoo(write_zoo(candidate(source="Qwen/Qwen2.5-7B-Instruct"))).get("tiny")
    assert loaded.source == "Qwen/Qwen2.5-7B-Instruct"
    loaded.check_source()


def test_candidates_are_returned_in_the_requested_order(write_zoo):
    zoo = load_zoo(write_zoo(candidate("a"), candidate("b")))
    assert zoo.names == ("a", "b")
    assert [c.name for c in zoo.select(["b", "a"])] == ["b", "a"]
    assert zoo.select(None) == zoo.candidates
    with pytest.raises(ZooError, match=r"unknown candidate 'x'; the zoo holds a, b"):
        zoo.select(["x"])


@pytest.mark.parametrize(
    ("name", "application"),
    [("qwen2.5-7b", "candidate-qwen2-5-7b"), ("Org/Model:v1", "candidate-org-model-v1")],
)
def test_application_names_are_slugs(write_zoo, name, application):
    assert load_zoo(write_zoo(candidate(name))).candidates[0].application_name == application


@pytest.mark.parametrize(
    ("candidates", "changes", "named"),
    [
        ([], {}, "the zoo is empty"),
        ([candidate("a"), candidate("a")], {}, "duplicate name ['a']"),
        ([candidate("a.b"), candidate("a-b")], {}, "duplicate slug ['a-b']"),
        ([candidate("auto")], {}, "'auto' is the name that asks for routing"),
        ([candidate("two words")], {}, "'two words'"),
        ([candidate(colour="red")], {}, "candidates.0.colour: Extra inputs are not permitted"),
        (
            [candidate(engine="llama.cpp")],
            {},
            "engine 'llama.cpp' is unknown; a candidate's engine is one of vllm, openai",
        ),
        ([candidate(context_window=0)], {}, "context_window"),
        ([candidate(modalities=["smell"])], {}, "'smell'"),
        ([candidate(llm_config={"model_loading_config": {}})], {}, "model_source is missing"),
        ([candidate(llm_config={})], {}, "model_source is missing"),
        ([candidate()], {"version": 2}, "version"),
        ([candidate()], {"extra": 1}, "extra"),
        (
            [candidate(price={"input_usd_per_mtok": -1, "output_usd_per_mtok": 0})],
            {},
            "price.input_usd_per_mtok: Input should be greater than or equal to 0, got -1",
        ),
        (
            [candidate(price={"input_usd_per_mtok": 0, "output_usd_per_mtok": float("inf")})],
            {},
            "price.output_usd_per_mtok",
        ),
    ],
)
def test_error_names_file_key_and_value(write_zoo, candidates, changes, named):
    path = write_zoo(*candidates, **changes)
    with pytest.raises(ZooError) as caught:
        load_zoo(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert named in message
    assert "\n" not in message


def test_rejects_an_invalid_model_directory(write_zoo, model_dir):
    def check():
        load_zoo(write_zoo(candidate())).get("tiny").check_source()

    check()
    (model_dir / "config.json").write_text("{half")
    with pytest.raises(ZooError, match=r"candidate 'tiny': .*config\.json is not readable JSON"):
        check()
    (model_dir / "config.json").write_text("{}")
    (model_dir / "model.safetensors").unlink()
    with pytest.raises(ZooError, match=r"candidate 'tiny': .*no \*\.safetensors weights"):
        check()
    (model_dir / "config.json").unlink()
    with pytest.raises(ZooError, match=r"candidate 'tiny': .*is not a model directory"):
        check()


def test_content_hash_depends_on_weights_and_options_but_not_on_price(write_zoo, model_dir):
    def hash_of(**changes):
        return load_zoo(write_zoo(candidate(**changes))).get("tiny").content_hash()

    first = hash_of()
    assert hash_of(price={"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}) == first
    other = candidate()["llm_config"]
    other["engine_kwargs"] = {"max_model_len": 256}
    assert hash_of(llm_config=other) != first
    (model_dir / "model.safetensors").write_bytes(b"other weights")
    assert hash_of() != first


def sharer(name="quick", owner="tiny", **changes):
    entry = candidate(name, **changes)
    if "llm_config" not in changes:
        del entry["llm_config"]
    return {**entry, "same_engine_as": owner}


def test_two_candidates_share_an_engine_with_settings_of_their_own(write_zoo, model_dir):
    generation = {"chat_template_kwargs": {"enable_thinking": False}}
    zoo = load_zoo(write_zoo(sharer(generation=generation), candidate()))
    quick, tiny = zoo.candidates
    assert quick.llm_config == tiny.llm_config
    assert quick.source == str(model_dir)
    assert quick.application_name == tiny.application_name == "candidate-tiny"
    assert (quick.slug, quick.engine_name) == ("quick", "tiny")
    assert quick.content_hash() != tiny.content_hash()
    again = Zoo.model_validate(zoo.model_dump(mode="json"))
    assert again == zoo


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([sharer(owner="gone"), candidate()], "same_engine_as is 'gone', which is not"),
        ([sharer(owner="quick")], "same_engine_as is 'quick', which is not"),
        ([sharer(owner="far"), remote()], "same_engine_as is 'far', which is not"),
        ([candidate(), sharer(), sharer("third", "quick")], "same_engine_as is 'quick'"),
        (
            [candidate(), sharer(llm_config=candidate(source="./other")["llm_config"])],
            "leave out one of the two",
        ),
    ],
)
def test_an_engine_that_cannot_be_shared_is_refused(write_zoo, model_dir, entries, reason):
    with pytest.raises(ZooError, match=reason):
        load_zoo(write_zoo(*entries))
