"""Settings are chosen only on validation questions of the training data."""

import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from modelsat.errors import ArtifactError
from modelsat.evaluation.baselines import tuning
from modelsat.evaluation.baselines.learner import Learner
from modelsat.evaluation.baselines.neighbours import NEIGHBOURS
from modelsat.evaluation.baselines.regression import RIDGE
from modelsat.evaluation.evaluate import evaluate_router
from modelsat.evaluation.metrics import cell_auc
from modelsat.modeling.loading import load_encoder
from modelsat.modeling.tiny import write_tiny_parts
from modelsat.outcomes.splits import split_validation
from modelsat.routing.scoring import Scorer
from tests.support.baseline_parts import embeddings_for, noisy_matrix
from tests.support.router_parts import make_matrix, make_router


class Scaled:
    """Knows the truth of the topics, times a factor."""

    def __init__(self, truth, factor):
        self.truth, self.factor = truth, factor

    def scores(self, questions, cards):
        rows = np.array([self.truth[task] for task in questions.tasks], dtype=np.float32)
        return self.factor * rows


@pytest.fixture
def recording():
    """A learner that gets worse with the factor, and the data it was fitted on."""
    matrix = make_matrix()
    truth = dict(zip(matrix.tasks, matrix.correct_QM, strict=True))
    seen = []

    def fit(training, embeddings_QE, *, factor):
        seen.append((factor, training.question_ids, embeddings_QE))
        return Scaled(truth, factor)

    return Learner("scaled", "a test's", fit, {"factor": (-1.0, 0.0, 1.0)}), seen


def test_best_setting_is_refitted_on_all_training_questions(recording):
    learner, seen = recording
    training = noisy_matrix()
    embeddings = embeddings_for(training)
    tuned = tuning.tune(learner, training, embeddings)
    assert tuned.tuning.setting == {"factor": 1.0}
    part, validation = split_validation(training, tuning.VALIDATION_FRACTION, 0)
    assert [ids for _, ids, _ in seen] == [part.question_ids] * 3 + [training.question_ids]
    assert seen[-1][0] == 1.0
    rows = [training.question_ids.index(q) for q in part.question_ids]
    np.testing.assert_array_equal(seen[0][2], embeddings[rows])
    rows = [training.question_ids.index(q) for q in validation.question_ids]
    best = Scaled(dict(zip(make_matrix().tasks, make_matrix().correct_QM, strict=True)), 1.0)
    expected = cell_auc(best.scores(validation, training.cards), training.correct_QM[rows])
    assert tuned.tuning.validation_auc == pytest.approx(expected)
    assert tuned.tuning.text() == f"factor 1 of -1/0/1 by validation AUC {expected:.3f}"


def test_tuning_rejects_constant_outcomes(recording):
    training = make_matrix()
    alike = type(training)(**{**vars(training), "correct_QM": np.ones_like(training.correct_QM)})
    with pytest.raises(ArtifactError, match="are equal"):
        tuning.tune(recording[0], alike, embeddings_for(alike))


def test_embedder_returns_unit_vectors_and_truncates_long_texts(tmp_path):
    _, encoder = write_tiny_parts(tmp_path, make_matrix().instructions, 0)
    transformer, pooling, _normalize = load_encoder(str(encoder))
    SentenceTransformer(modules=[transformer, pooling]).save(str(tmp_path / "plain"))
    embed = tuning.embedder(str(tmp_path / "plain"), max_tokens=8)
    embeddings = embed(["Where does it flow?", "one two " * 10, "one two " * 10 + "river"])
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(embeddings[1], embeddings[2], atol=1e-6)
    assert not np.allclose(embeddings[0], embeddings[1], atol=1e-3)


def test_report_has_learned_baselines_with_grid_and_setting(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "LEARNERS", (NEIGHBOURS, RIDGE))
    judged, training = make_matrix(10), noisy_matrix()
    rng = np.random.default_rng(0)

    def embed(texts):
        one = training if len(texts) == len(training) else judged
        assert tuple(texts) == one.instructions
        return embeddings_for(one, int(rng.integers(9)))

    scorer = Scorer(make_router(tmp_path))
    report = json.loads(json.dumps(evaluate_router(scorer, judged, training, embed=embed)))
    for learner in (NEIGHBOURS, RIDGE):
        row = report["baselines"][learner.name]
        assert row["accuracy"] == row["auc"] == row["pair_accuracy"] == 1.0
        assert row["tuning"]["grid"] == {k: list(v) for k, v in learner.grid.items()}
        assert row["tuning"]["setting"].items() <= {
            (k, v) for k, vs in learner.grid.items() for v in vs
        }
        assert row["detail"].startswith(learner.detail)
        assert row["router_gain"]["difference"] == pytest.approx(report["router"]["accuracy"] - 1.0)
    assert report["baselines"]["random"]["tuning"] is None
    assert report["router"]["pair_accuracy"] is not None


def test_report_without_embedder_has_only_simple_baselines(tmp_path):
    report = evaluate_router(Scorer(make_router(tmp_path)), make_matrix(10), noisy_matrix())
    assert set(report["baselines"]) == {
        "random", "best_single", "best_per_task", "card_lookup", "oracle"
    }  # fmt: skip
