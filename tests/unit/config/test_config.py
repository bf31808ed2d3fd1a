import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from modelsat.config import FrozenConfig, load_config
from modelsat.errors import ConfigError


class Optimizer(FrozenConfig):
    rate: float = Field(gt=0)
    name: str = "adam"


class Job(FrozenConfig):
    steps: int
    optimizer: Optimizer


@pytest.fixture
def job_file(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("steps: 3\noptimizer: {rate: 0.1}\n")
    return path


def test_reads_nested_values(job_file):
    assert load_config(Job, job_file) == Job(steps=3, optimizer=Optimizer(rate=0.1))


def test_override_replaces_a_single_value(job_file):
    job = load_config(Job, job_file, ["optimizer.rate=1e-3", "optimizer.name=sgd", "steps=7"])
    assert job == Job(steps=7, optimizer=Optimizer(rate=1e-3, name="sgd"))


@given(
    steps=st.integers(),
    rate=st.floats(min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False),
)
def test_any_value_can_be_overridden(tmp_path_factory, steps, rate):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text("optimizer: {}\n")
    job = load_config(Job, path, [f"steps={steps}", f"optimizer.rate={rate!r}"])
    assert (job.steps, job.optimizer.rate) == (steps, rate)


def test_configuration_is_immutable(job_file):
    job = load_config(Job, job_file)
    with pytest.raises(Exception, match="frozen"):
        job.steps = 4


@pytest.mark.parametrize(
    ("text", "overrides", "named"),
    [
        ("steps: 3\noptimizer: {rate: 0.1, ratee: 1}", [], ["optimizer.ratee", "got 1"]),
        ("steps: 3\noptimizer: {rate: -1}", [], ["optimizer.rate", "greater than 0", "-1"]),
        ("optimizer: {rate: 1}", [], ["steps", "required"]),
        ("steps: [unclosed", [], ["not valid YAML"]),
        ("- a\n- b", [], ["must contain a mapping", "list"]),
        ("", [], ["must contain a mapping", "NoneType"]),
        ("steps: 3", ["optimizer"], ["'optimizer'", "a.b=value"]),
        ("steps: 3", ["=4"], ["'=4'", "a.b=value"]),
        ("steps: 3", ["steps.deep=4"], ["steps is a value, not a section"]),
        ("steps: 3", ["steps=[4"], ["steps=[4", "YAML"]),
    ],
)
def test_invalid_configuration_raises_a_one_line_error(tmp_path, text, overrides, named):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(Job, path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    for part in named:
        assert part in message


def test_error_names_the_file(job_file):
    job_file.write_text("steps: many\noptimizer: {rate: 1}\n")
    with pytest.raises(ConfigError, match=f"{job_file}: steps: .*integer.*'many'"):
        load_config(Job, job_file)


def test_rejects_missing_and_binary_files(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_config(Job, tmp_path / "none.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00steps")
    with pytest.raises(ConfigError, match=r"binary\.yaml"):
        load_config(Job, binary)


def test_override_of_a_list_item(tmp_path):
    class Item(FrozenConfig):
        size: int

    class Holder(FrozenConfig):
        items: tuple[Item, ...]

    path = tmp_path / "c.yaml"
    path.write_text("items: [{size: 1}, {size: 2}]")
    changed = load_config(Holder, path, ["items.1.size=5"])
    assert [item.size for item in changed.items] == [1, 5]
    for index in ("2", "x", "-1"):
        with pytest.raises(ConfigError, match=f"{index} is not an index into a list of 2"):
            load_config(Holder, path, [f"items.{index}.size=5"])
