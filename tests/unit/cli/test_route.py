"""``modelsat route`` with a router whose scores are given."""

import json
import math

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from modelsat.artifacts.schemas import CANDIDATES
from modelsat.artifacts.store import write_table
from modelsat.capability.cards import read_cards, write_cards
from modelsat.cli.main import app
from modelsat.errors import ArtifactError, ConfigError, RoutingError, ZooError
from modelsat.modeling.checkpoint import save_router
from modelsat.routing.scoring import Scorer
from tests.support.router_parts import TASKS_HASH, TOPICS, make_card, make_router

SCORES = {"small": 0.5, "mid": 0.75, "big": 0.875}
PARAMS = {"small": 1.0, "mid": 7.0, "big": 70.0}
QUESTION = "Which river?"


class KnownScores:
    """A scorer that knows its scores by candidate."""

    tasks_hashes = (TASKS_HASH,)

    def __init__(self, scores):
        self._scores = scores

    def score(self, instructions, cards):
        assert instructions == [QUESTION]
        return np.float32([[self._scores[card.candidate] for card in cards]])


@pytest.fixture
def route(tmp_path, monkeypatch):
    """Runs `route` over three cards, a zoo file that prices two, and a table of sizes."""
    write_cards([make_card(name, dict.fromkeys(TOPICS, 5.0)) for name in SCORES], tmp_path / "c")
    prices = {"small": 0.5, "big": 4.0}
    candidates = [
        {
            "name": name,
            "engine": "vllm",
            "llm_config": {"model_loading_config": {"model_source": f"org/{name}"}},
            "context_window": 64,
            "price": {"input_usd_per_mtok": price, "output_usd_per_mtok": price},
        }
        for name, price in prices.items()
    ]
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "candidates": candidates}))
    rows = [{"candidate": name, "params_b": size} for name, size in PARAMS.items()]
    write_table(CANDIDATES, rows, tmp_path / "table")

    def run(*options, scores=SCORES):
        monkeypatch.setattr(Scorer, "load", lambda _: KnownScores(scores))
        known = {"ZOO": tmp_path / "zoo.yaml", "TABLE": tmp_path / "table"}
        arguments = [str(known.get(option, option)) for option in options]
        required = ["--router", str(tmp_path), "--cards", str(tmp_path / "c")]
        return CliRunner().invoke(app, ["route", QUESTION, *required, *arguments])

    return run


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((), "route to big (highest_score)"),
        (("--min-p", "0.8"), "route to big (highest_score)"),
        (("--min-p", "0.9"), "route to big (below_min_p)"),
        (("--models", "s*,mid"), "route to mid (highest_score_allowed)"),
        (("--candidates", "small,mid"), "route to mid (highest_score)"),
        (("--tolerance", "0.2", "--candidates-table", "TABLE"), "mid (cheapest_within_tolerance)"),
        (("--min-p", "0.5", "--candidates-table", "TABLE"), "small (cheapest_with_min_p)"),
        (("--max-cost", "7", "--candidates-table", "TABLE"), "mid (highest_score_allowed)"),
        # mid has no price, so it is not cheaper than big and not within any limit.
        (("--tolerance", "0.2", "--zoo", "ZOO"), "route to big (highest_score)"),
        (("--max-cost", "3", "--zoo", "ZOO"), "route to small (highest_score_allowed)"),
    ],
)
def test_decision_is_the_last_line(route, options, line):
    result = route(*options)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].endswith(line)


def test_candidates_are_listed_by_score_with_their_costs(route):
    lines = route("--zoo", "ZOO").stdout.splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["candidate", "p_correct", "cost"],
        ["big", "0.875", "4"],
        ["mid", "0.750", "-"],
        ["small", "0.500", "0.5"],
    ]
    assert lines[4].startswith("cost in US dollars per million tokens")
    assert lines[4].endswith("unknown for mid")


def test_sizes_are_labelled_as_a_proxy(route):
    assert (
        "billions of parameters, a proxy for price" in route("--candidates-table", "TABLE").stdout
    )


def test_json_has_decision_and_costs(route):
    plain = json.loads(route("--json").stdout)
    assert plain == {
        "candidate": "big",
        "confidence": 0.875,
        "scores": SCORES,
        "reason": "highest_score",
    }
    priced = json.loads(route("--json", "--tolerance", "0.4", "--candidates-table", "TABLE").stdout)
    assert (priced["candidate"], priced["cost_unit"]) == ("small", "params_b")
    assert priced["costs"] == PARAMS


def test_nan_score_is_shown_as_unknown(route):
    broken = {**SCORES, "big": math.nan}
    lines = route(scores=broken).stdout.splitlines()
    assert lines[3].split() == ["big", "-"]
    assert lines[-1] == "route to mid (highest_score)"
    text = route("--json", scores=broken).stdout
    assert json.loads(text, parse_constant=pytest.fail)["scores"]["big"] is None


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        (("--tolerance", "0.1"), ConfigError, "add --zoo FILE or --candidates-table FILE"),
        (("--max-cost", "1"), ConfigError, "add --zoo FILE or --candidates-table FILE"),
        (("--tolerance", "5", "--zoo", "ZOO"), ConfigError, "tolerance: Input should be less"),
        (("--zoo", "ZOO", "--candidates-table", "TABLE"), ConfigError, "pass only one of them"),
        (("--models", "mid,gpt*"), ZooError, "--models 'gpt*' matches no candidate of small, mid"),
        (("--models", "mid,"), ConfigError, "models.1"),
        (("--max-cost", "0.1", "--zoo", "ZOO"), RoutingError, "2 above max_cost"),
        (("--zoo", "TABLE"), ZooError, "not UTF-8"),
        (("--candidates-table", "none"), ArtifactError, "does not exist"),
        (("--candidates", "mid", "--zoo", "ZOO"), ArtifactError, "no price"),
    ],
)
def test_user_error_is_one_line(route, options, error, named):
    result = route(*options)
    assert result.exit_code == error.exit_code, result.output
    assert named in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_routes_with_a_real_router(tmp_path):
    router = make_router(tmp_path / "parts")
    save_router(router, tmp_path / "router")
    cards = [make_card(name, dict.fromkeys(TOPICS, float(5 * i))) for i, name in enumerate(SCORES)]
    write_cards(cards, tmp_path / "cards")
    paths = ["--router", str(tmp_path / "router"), "--cards", str(tmp_path / "cards")]
    result = CliRunner().invoke(app, ["route", QUESTION, *paths, "--json"])
    assert result.exit_code == 0, result.output
    decision = json.loads(result.stdout)
    expected = Scorer(router).score([QUESTION], tuple(read_cards(tmp_path / "cards").values()))[0]
    assert list(decision["scores"].values()) == pytest.approx(expected.tolist(), abs=1e-5)
    assert decision["scores"][decision["candidate"]] == max(decision["scores"].values())
