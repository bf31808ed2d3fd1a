"""The quickstart's claim on a larger zoo and several seeds, with one candidate held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelsat.aptitude.tasks import load_tasks
from modelsat.artifacts.store import write_json, write_text
from modelsat.capability.cards import read_cards, select_cards
from modelsat.config import parse_config
from modelsat.demo.limits import check_router, check_zoo
from modelsat.demo.quickstart import Stages
from modelsat.demo.vision.specs import VISION_CANDIDATE
from modelsat.demo.workspace import Echo, Workspace
from modelsat.demo.zoo_specs import HELD_OUT
from modelsat.errors import GradingError
from modelsat.evaluation.evaluate import evaluate_router
from modelsat.evaluation.limit_checks import LimitCheck
from modelsat.evaluation.report import write_report
from modelsat.outcomes.joining import load_matrix
from modelsat.outcomes.matrix import OutcomeMatrix
from modelsat.routing.scoring import Scorer
from profiling.aptitude_test import profile_zoo
from profiling.config import ProfileConfig
from tests.benchmarks.proof.limits import check_held_out
from tests.benchmarks.proof.pictures import PictureFigures, measure_pictures
from tests.benchmarks.proof.zoo import PROOF_ZOO
from tests.benchmarks.report.page import render_page
from train_jobs.config import TrainJobConfig
from train_jobs.job import train_router

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class SeedResult:
    """Figures of one seed.

    Attributes:
        seed: the seed.
        held_out: report of the router that was not trained on the held-out candidate.
        trained_on: report of the router that was trained on it.
        without: report of the zoo without that candidate.
        by_family: share correct by candidate and family.
        family: family in which the held-out candidate is best.
        pictures: answers to questions about pictures.
        checks: measured figures and their limits.
    """

    seed: int
    held_out: Mapping[str, Any]
    trained_on: Mapping[str, Any]
    without: Mapping[str, Any]
    by_family: Mapping[str, Mapping[str, float]]
    family: str
    pictures: PictureFigures
    checks: tuple[LimitCheck, ...]


def run_proof(
    directory: Path, cache_dir: Path, *, seeds: Sequence[int], echo: Echo
) -> list[SeedResult]:
    """Run every seed.

    Args:
        directory: folder of the runs.
        cache_dir: folder of trained checkpoints.
        seeds: seeds of questions, zoo and routers.
        echo: receives progress.

    Raises:
        ModelSatError: a step failed.
    """
    return [_run_seed(directory / f"seed-{seed}", cache_dir, seed, echo) for seed in seeds]


def write_page(results: Sequence[SeedResult], checks: Sequence[LimitCheck], page: Path) -> None:
    """Write the page atomically."""
    text = render_page(
        "tests.benchmarks.proof",
        "proof.md.j2",
        {},
        command="make proof",
        checks=checks,
        results=results,
        held_out=HELD_OUT,
        vision=VISION_CANDIDATE.name,
    )
    write_text(page, text)


def _run_seed(directory: Path, cache_dir: Path, seed: int, echo: Echo) -> SeedResult:
    echo(f"seed {seed}")
    workspace = Workspace(
        directory, cache_dir, PROOF_ZOO, seed, lambda line: echo(f"  {line}"), VISION_CANDIDATE
    )
    everyone = list(workspace.candidates)
    others = [name for name in everyone if name != HELD_OUT]
    stages = Stages(echo, total=7)
    stages.run("make the question bank", workspace.make_questions)
    stages.run("train the demo zoo", workspace.make_zoo)
    stages.run("aptitude test and outcomes", lambda: _profile(workspace))
    stages.run(
        f"train the router ({HELD_OUT} held out)", lambda: _train(workspace, "held-out", others)
    )
    stages.run(
        f"train the router ({HELD_OUT} in training)",
        lambda: _train(workspace, "trained-on", everyone),
    )
    reports = stages.run("evaluate on unseen questions", lambda: _evaluate(workspace, others))
    pictures = stages.run(
        "ask about pictures over HTTP", lambda: measure_pictures(workspace, "held-out")
    )
    by_family = workspace.accuracy_by_family()
    family = max(by_family[HELD_OUT], key=lambda name: by_family[HELD_OUT][name])
    checks = (
        *check_router(reports["held-out"]),
        *check_zoo(by_family, reports["held-out"], HELD_OUT),
        *check_held_out(reports["held-out"], reports["trained-on"], reports["without"], family),
        pictures.check(),
    )
    write_json(
        directory / "checks.json",
        {"checks": [vars(check) for check in checks], "accuracy_by_family": by_family},
    )
    return SeedResult(
        seed,
        reports["held-out"],
        reports["trained-on"],
        reports["without"],
        by_family,
        family,
        pictures,
        tuple(replace(check, what=f"seed {seed}: {check.what}") for check in checks),
    )


def _profile(workspace: Workspace) -> None:
    settings = workspace.profile_settings()
    report = profile_zoo(parse_config(ProfileConfig, settings, source="the proof's profile job"))
    if report["failures"]:
        reasons = "; ".join(failure["reason"] for failure in report["failures"])
        raise GradingError(f"candidates could not be profiled: {reasons}")


def _train(workspace: Workspace, name: str, candidates: Sequence[str]) -> None:
    settings = workspace.training_settings(name, candidates)
    train_router(parse_config(TrainJobConfig, settings, source="the proof's training job"))


def _evaluate(workspace: Workspace, others: Sequence[str]) -> dict[str, dict[str, Any]]:
    everyone = workspace.candidates
    return {
        "held-out": _report(workspace, "held-out", everyone, "held-out"),
        "trained-on": _report(workspace, "trained-on", everyone, "trained-on"),
        "without": _report(workspace, "held-out", others, "without"),
    }


def _report(
    workspace: Workspace, router: str, candidates: Sequence[str], name: str
) -> dict[str, Any]:
    """Evaluate a router on the test split, write the report and return it."""
    cards = select_cards(read_cards(workspace.cards), candidates)
    core = load_tasks(workspace.tasks).question_ids

    def outcomes(split: str) -> OutcomeMatrix:
        questions = [workspace.questions(split)]
        return load_matrix(questions, workspace.outcomes, cards, exclude_questions=core)

    scorer = Scorer.load(workspace.router(router), dtype="float32")
    report = evaluate_router(scorer, outcomes("test"), outcomes("training"))
    write_report(report, workspace.report(name))
    return report
