"""Costs from a zoo file or a candidates table."""

import pytest
import yaml

from modelsat.artifacts.schemas import CANDIDATES
from modelsat.artifacts.store import write_table
from modelsat.errors import ArtifactError, ConfigError, ZooError
from modelsat.routing.costs import load_costs


@pytest.fixture
def zoo_file(tmp_path):
    """Writes a zoo of `a` with the price given, and `b` without."""

    def write(price):
        candidates = [
            {
                "name": name,
                "engine": "vllm",
                "llm_config": {"model_loading_config": {"model_source": f"org/{name}"}},
                "context_window": 64,
                "price": price if name == "a" else None,
            }
            for name in "ab"
        ]
        path = tmp_path / "zoo.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "candidates": candidates}))
        return path

    return write


@pytest.fixture
def table(tmp_path):
    """Writes a candidates table: rows of name, params_b, price in, price out."""

    def write(*rows):
        columns = ("candidate", "params_b", "price_in_usd_per_mtok", "price_out_usd_per_mtok")
        path = tmp_path / "candidates.parquet"
        write_table(CANDIDATES, [dict(zip(columns, row, strict=True)) for row in rows], path)
        return path

    return write


def test_prices_of_a_zoo_are_blended_three_to_one(zoo_file):
    path = zoo_file({"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 5.0})
    costs = load_costs(["b", "a", "absent"], zoo=path)
    assert costs.by_candidate == {"b": None, "a": 2.0, "absent": None}
    assert costs.unknown == ("b", "absent")
    assert costs.unit == "usd_per_mtok"
    assert "75% of them prompt and 25% answer" in costs.description


def test_rejects_a_zoo_without_prices(zoo_file):
    with pytest.raises(ArtifactError, match=r"zoo.yaml has no price .* of any of a, b"):
        load_costs(["a", "b"], zoo=zoo_file(None))


def test_complete_prices_are_used(table):
    path = table(("a", 7.0, 2.0, 6.0), ("b", 70.0, 0.0, 0.0))
    costs = load_costs(["a", "b"], candidates_table=path)
    assert costs.by_candidate == {"a": 3.0, "b": 0.0}
    assert "proxy" not in costs.description


def test_sizes_are_used_if_known_for_more_candidates_and_units_never_mix(table):
    path = table(("a", 7.0, 2.0, 6.0), ("b", 70.0, None, 1.0), ("c", None, 1.0, 1.0))
    costs = load_costs(["a", "b", "d"], candidates_table=path)
    assert costs.by_candidate == {"a": 7.0, "b": 70.0, "d": None}
    assert costs.unit == "params_b"
    assert "a proxy for price: the table has prices of 1 of 3 candidates" in costs.description
    # Among a and c, as many are priced as sized at least.
    assert load_costs(["a", "c"], candidates_table=path).by_candidate == {"a": 3.0, "c": 1.0}


def test_nan_is_unknown(table):
    path = table(("a", float("nan"), None, None), ("b", 7.0, float("inf"), 1.0))
    assert load_costs(["a", "b"], candidates_table=path).by_candidate == {"a": None, "b": 7.0}


@pytest.mark.parametrize("row", [("a", -7.0, None, None), ("a", 7.0, 1.0, -2.0)])
def test_rejects_negative_values(table, row):
    with pytest.raises(ArtifactError, match=r"'a' has (params_b -7|price_out_usd_per_mtok -2)"):
        load_costs(["a"], candidates_table=table(row))


def test_rejects_a_table_without_known_candidates(table):
    with pytest.raises(ArtifactError, match=r"no price .* of any of b"):
        load_costs(["b"], candidates_table=table(("a", 7.0, None, None)))


def test_accepts_at_most_one_file(zoo_file, table):
    assert load_costs(["a"]) is None
    with pytest.raises(ConfigError, match="pass only one of them"):
        load_costs(["a"], zoo=zoo_file(None), candidates_table=table(("a", 7.0, None, None)))


def test_error_names_the_invalid_zoo_file(tmp_path):
    with pytest.raises(ZooError, match=r"missing\.yaml"):
        load_costs(["a"], zoo=tmp_path / "missing.yaml")
