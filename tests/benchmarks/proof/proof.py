"""The quickstart's claim on a larger zoo and several seeds, with one candidate held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelsat.artifacts.store import write_json, write_text
from modelsat.demo.limits import check_held_out, check_router, check_zoo
from modelsat.demo.quickstart import Stages
from modelsat.demo.workspace import Echo, Workspace
from modelsat.demo.zoo_specs import DEMO_CANDIDATES, HELD_OUT
from modelsat.evaluation.limit_checks import LimitCheck
from tests.benchmarks.report.page import render_page

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
        checks: measured figures and their limits.
    """

    seed: int
    held_out: Mapping[str, Any]
    trained_on: Mapping[str, Any]
    without: Mapping[str, Any]
    by_family: Mapping[str, Mapping[str, float]]
    family: str
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
    )
    write_text(page, text)


def _run_seed(directory: Path, cache_dir: Path, seed: int, echo: Echo) -> SeedResult:
    echo(f"seed {seed}")
    workspace = Workspace(
        directory, cache_dir, DEMO_CANDIDATES, HELD_OUT, seed, lambda line: echo(f"  {line}")
    )
    everyone = list(workspace.candidates)
    others = [name for name in everyone if name != HELD_OUT]
    stages = Stages(echo, total=6)
    stages.run("make the question bank", workspace.make_questions)
    stages.run("train the demo zoo", workspace.make_zoo)
    stages.run("aptitude test and outcomes", workspace.run_profile)
    stages.run(
        f"train the router ({HELD_OUT} held out)",
        lambda: workspace.run_training("held-out", others),
    )
    stages.run(
        f"train the router ({HELD_OUT} in training)",
        lambda: workspace.run_training("trained-on", everyone),
    )
    reports = stages.run("evaluate on unseen questions", lambda: _evaluate(workspace, others))
    by_family = workspace.accuracy_by_family()
    family = max(by_family[HELD_OUT], key=lambda name: by_family[HELD_OUT][name])
    checks = (
        *check_router(reports["held-out"]),
        *check_zoo(by_family, reports["held-out"], HELD_OUT),
        *check_held_out(reports["held-out"], reports["trained-on"], reports["without"], family),
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
        tuple(replace(check, what=f"seed {seed}: {check.what}") for check in checks),
    )


def _evaluate(workspace: Workspace, others: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {
        "held-out": workspace.run_evaluation("held-out", workspace.candidates, "held-out"),
        "trained-on": workspace.run_evaluation("trained-on", workspace.candidates, "trained-on"),
        "without": workspace.run_evaluation("held-out", others, "without"),
    }
