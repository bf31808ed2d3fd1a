"""The proof: the quickstart's claim on a larger zoo and several seeds, one candidate held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelsat.artifacts.store import write_json, write_text
from modelsat.demo.limits import check_held_out, check_router, check_zoo
from modelsat.demo.quickstart import Stages
from modelsat.demo.workspace import Echo, Workspace
from modelsat.demo.zoo_specs import DEMO_CANDIDATES, HELD_OUT
from modelsat.evaluation.checks import Check, require
from modelsat.evaluation.provenance import render_page

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class SeedResult:
    """What one seed measured.

    Attributes:
        seed: the seed.
        held_out: report of the router that never trained on the held-out candidate.
        trained_on: report of the router that did.
        without: report of the zoo without that candidate.
        by_family: share correct by candidate and family.
        family: the held-out candidate's family.
        checks: the limits and what was measured.
    """

    seed: int
    held_out: Mapping[str, Any]
    trained_on: Mapping[str, Any]
    without: Mapping[str, Any]
    by_family: Mapping[str, Mapping[str, float]]
    family: str
    checks: tuple[Check, ...]


def run_proof(
    directory: Path, cache_dir: Path, page: Path, *, seeds: Sequence[int] = SEEDS, echo: Echo
) -> list[SeedResult]:
    """Run every seed, write the page, and fail if any limit is missed.

    Raises:
        ModelSatError: a step failed.
        QualityError: a measured figure misses its limit; the page is written all the same.
    """
    results = [_run_seed(directory / f"seed-{seed}", cache_dir, seed, echo) for seed in seeds]
    write_text(page, _render(results))
    echo(f"written to {page}")
    require([check for result in results for check in result.checks])
    return results


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
    for check in checks:
        workspace.echo(check.line())
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
        checks,
    )


def _evaluate(workspace: Workspace, others: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {
        "held-out": workspace.run_evaluation("held-out", workspace.candidates, "held-out"),
        "trained-on": workspace.run_evaluation("trained-on", workspace.candidates, "trained-on"),
        "without": workspace.run_evaluation("held-out", others, "without"),
    }


def _render(results: Sequence[SeedResult]) -> str:
    return render_page("modelsat.demo", "proof.md.j2", {}, results=results, held_out=HELD_OUT)
