"""Gains over zoos, arrivals and predictions on disk, against counts by hand."""

import numpy as np
import pytest

from modelsat.errors import ArtifactError, ConfigError, ZooError
from tests.benchmarks.quality.gains import best_auc, discrimination, pooled_gains, zoo_figures
from tests.benchmarks.quality.predictions import Predictions, load_predictions, pooled
from tests.benchmarks.quality.releases import arrivals
from tests.benchmarks.quality.zoos import ZooSetups, load_zoos

CANDIDATES = ("a", "b", "c")


def predictions(num_questions=40, seed=0):
    rng = np.random.default_rng(seed)
    correct = (rng.random((num_questions, 3)) < [0.9, 0.6, 0.3]).astype(np.float32)
    shape = correct.shape
    return Predictions(
        tuple(f"{seed}/{i}" for i in range(num_questions)),
        tuple("t" for _ in range(num_questions)),
        CANDIDATES,
        correct,
        {
            "router": (correct + rng.normal(0, 0.4, shape)).astype(np.float32),
            "best_single": np.tile(np.float32([0.9, 0.6, 0.3]), (num_questions, 1)),
            "knn": rng.random(shape).astype(np.float32),
        },
    )


def setups(**changes):
    values = {"two": ["b", "c"], "all": "*", "close": ["two"]} | changes
    return ZooSetups.model_validate(values).among(CANDIDATES)


def test_a_zoo_is_judged_on_its_own_candidates():
    one = predictions()
    two, everyone = zoo_figures(one, setups())
    assert (two.name, two.num_candidates, two.is_close) == ("two", 2, True)
    assert (everyone.num_candidates, everyone.is_close) == (3, False)
    assert two.accuracy["best_single"] == pytest.approx(one.correct_QM[:, 1].mean())
    assert everyone.accuracy["best_single"] == pytest.approx(one.correct_QM[:, 0].mean())
    router = one.scores["router"][:, 1:].argmax(axis=1)
    expected = one.correct_QM[:, 1:][np.arange(len(one)), router].mean()
    assert two.accuracy["router"] == pytest.approx(expected)
    assert two.accuracy["oracle"] == pytest.approx(one.correct_QM[:, 1:].max(axis=1).mean())
    assert two.best_baseline == "knn"


def test_pooled_gains_are_means_over_zoos():
    one = predictions()
    each = [figures.gain.difference for figures in zoo_figures(one, setups())]
    together = pooled_gains(one, setups(), ("two", "all"))
    assert together.router.difference == pytest.approx(np.mean(each))
    assert together.router.low < together.router.difference < together.router.high
    name, gain = together.best_baseline
    assert name == "knn"
    assert gain.difference < together.router.difference


def test_folds_are_judged_together_and_apart():
    parts = [predictions(seed=0), predictions(seed=1)]
    figures = discrimination(parts)
    whole = pooled(parts)
    assert len(whole) == 80
    assert figures["best_single"].auc == pytest.approx(
        np.mean(
            [
                (x > y) + 0.5 * (x == y)
                for x in whole.scores["best_single"][whole.correct_QM == 1]
                for y in whole.scores["best_single"][whole.correct_QM == 0]
            ]
        ),
        abs=1e-5,
    )
    assert len(figures["router"].auc_by_fold) == 2
    assert best_auc(figures) == "best_single"


def test_predictions_come_back_from_disk(tmp_path):
    one = predictions()
    one.save(tmp_path / "p.npz")
    back = load_predictions(tmp_path / "p.npz")
    assert back.candidates == one.candidates
    assert back.question_ids == one.question_ids
    assert set(back.scores) == set(one.scores)
    for name, scores in one.scores.items():
        np.testing.assert_array_equal(back.scores[name], scores)
    (tmp_path / "p.npz").write_bytes(b"PK broken")
    with pytest.raises(ArtifactError, match=r"p\.npz"):
        load_predictions(tmp_path / "p.npz")
    with pytest.raises(ZooError, match="nobody"):
        one.of(["a", "nobody"])


def test_the_zoo_of_an_arrival_is_the_five_best_before_it_and_itself():
    order = tuple("abcdefgh")
    rng = np.random.default_rng(1)
    correct = (rng.random((30, 8)) < 0.5).astype(np.float32)
    made = arrivals(
        Predictions(("q",) * 30, ("t",) * 30, order, correct, {"router": correct}),
        order,
        card_accuracy={name: i / 10 for i, name in enumerate(order)},
        trained_on=order[:4],
    )
    assert [arrival.candidate for arrival in made] == list("bcdefgh")
    assert made[-1].zoo == ("g", "f", "e", "d", "c", "h")
    assert made[1].zoo == ("b", "a", "c")
    assert [arrival.was_trained_on for arrival in made] == [True] * 3 + [False] * 4
    assert made[-1].accuracy["router"] == made[-1].accuracy["oracle"]


def test_shipped_zoos_name_close_ones_and_hold_out_some():
    shipped = load_zoos(None)
    assert set(shipped) == {"mmlu", "mmlu_pro", "fasteval"}
    for name in ("mmlu", "mmlu_pro"):
        assert shipped[name].close
        assert len(shipped[name].held_out) == 5


def test_zoos_whose_candidates_are_not_all_there_are_left_out():
    some = setups(gone=["a", "x"], held_out=["c", "x"])
    assert list(some.zoos) == ["two", "all"]
    assert some.zoos["all"] == CANDIDATES
    assert some.held_out == ("c",)


def test_a_close_zoo_that_is_none_is_refused(tmp_path):
    path = tmp_path / "zoos.yaml"
    path.write_text("mmlu:\n  all: '*'\n  close: [small]\n")
    with pytest.raises(ConfigError, match="small"):
        load_zoos(path)
