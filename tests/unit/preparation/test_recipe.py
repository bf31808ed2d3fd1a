"""Recipes: the shipped ones load, and mistakes are refused with a line that names them."""

import pytest
import yaml

from modelsat.errors import ConfigError
from modelsat.preparation.recipe import load_recipe

ZOO = {
    "name": "ours",
    "sources": ["lab"],
    "aptitude_test": {"kind": "selected", "benchmark": "riddles"},
    "training_benchmarks": ["riddles"],
}


@pytest.fixture
def write(tmp_path):
    def write(*zoos, **fields) -> str:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({"zoos": list(zoos), **fields}))
        return str(path)

    return write


def test_a_shipped_recipe_loads_by_name_with_keywords_for_every_test():
    zoos = {zoo.name: zoo for zoo in load_recipe("mmlu").zoos}
    assert set(zoos) == {"mmlu", "mmlu_pro", "routellm", "fasteval"}
    for name in ("mmlu", "mmlu_pro", "fasteval"):
        assert zoos[name].aptitude_test.task_keywords()


def test_a_benchmark_of_the_user_needs_no_file_but_the_recipe(write):
    words = ["puns", "logic", "wordplay", "paradox", "wit"]
    test = ZOO["aptitude_test"] | {"keywords": {"easy": words}}
    (zoo,) = load_recipe(write(ZOO | {"aptitude_test": test})).zoos
    assert zoo.aptitude_test.task_keywords() == {"easy": tuple(words)}
    (zoo,) = load_recipe(write(ZOO)).zoos
    with pytest.raises(ConfigError, match="no keywords are shipped for benchmark 'riddles'"):
        zoo.aptitude_test.task_keywords()


def test_mistakes_are_refused(write):
    shares = ZOO | {"name": "other", "aptitude_test": {"kind": "shared", "zoo": "nobody"}}
    for zoos, fields, reason in [
        ([ZOO, ZOO], {}, "two zoos have the same name"),
        ([ZOO, shares], {}, "zoo 'other' shares the test of 'nobody'; .* selected test are ours"),
        ([ZOO | {"sauces": []}], {}, "sauces"),
        ([ZOO | {"name": "../up"}], {}, "zoos.0.name"),
        ([ZOO], {"test_fraction": 1.0}, "test_fraction"),
        ([], {}, "zoos"),
    ]:
        with pytest.raises(ConfigError, match=reason):
            load_recipe(write(*zoos, **fields))


def test_an_unknown_recipe_is_refused_with_the_shipped_names():
    with pytest.raises(ConfigError, match="no recipe 'mmul'; give a YAML file, or one of mmlu"):
        load_recipe("mmul")
