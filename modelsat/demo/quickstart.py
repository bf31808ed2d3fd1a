"""The quickstart: the whole system on a zoo it makes itself, ending with routed answers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelsat.artifacts.store import write_json, write_text
from modelsat.demo.chat import RoutedQuestion, ask_routed, require_free_port
from modelsat.demo.limits import check_router, check_zoo
from modelsat.demo.workspace import Echo, Workspace
from modelsat.demo.zoo_specs import HELD_OUT, QUICKSTART_ZOO
from modelsat.evaluation.limit_checks import LimitCheck, require

ROUTER = "router"


@dataclass(frozen=True)
class QuickstartResult:
    """What the quickstart measured and saw.

    Attributes:
        report: the evaluation's report.
        checks: the limits and what was measured.
        routed: a question of each family with the candidate chosen; one is answered.
        serve_config: what ``modelsat serve --config`` takes to keep serving.
    """

    report: dict[str, Any]
    checks: tuple[LimitCheck, ...]
    routed: tuple[RoutedQuestion, ...]
    serve_config: Path


def run_quickstart(
    directory: Path, cache_dir: Path, *, seed: int, port: int, echo: Echo
) -> QuickstartResult:
    """Make questions and a zoo, profile, train, evaluate, serve, and ask.

    Raises:
        ModelSatError: a step failed, or a measured figure misses its limit.
    """
    require_free_port(port)
    workspace = Workspace(
        directory, cache_dir, QUICKSTART_ZOO, seed, lambda line: echo(f"  {line}")
    )
    stages = Stages(echo, total=6)
    stages.run("make the question bank", workspace.make_questions)
    stages.run("train the demo zoo", workspace.make_zoo)
    stages.run("aptitude test and outcomes", workspace.run_profile)
    trained_on = [name for name in workspace.candidates if name != HELD_OUT]
    stages.run(
        f"train the router ({HELD_OUT} held out)",
        lambda: workspace.run_training(ROUTER, trained_on),
    )
    report = stages.run(
        "evaluate on unseen questions",
        lambda: workspace.run_evaluation(ROUTER, workspace.candidates, ROUTER),
    )
    by_family = workspace.accuracy_by_family()
    checks = (*check_router(report), *check_zoo(by_family, report, HELD_OUT))
    for check in checks:
        workspace.echo(check.line())
    write_json(
        workspace.directory / "checks.json",
        {"checks": [vars(check) for check in checks], "accuracy_by_family": by_family},
    )
    require(checks)
    serve_config = _write_serve_config(workspace, port)
    routed = stages.run(
        "serve, and ask over HTTP",
        lambda: ask_routed(workspace, serve_config, port),
    )
    return QuickstartResult(report, checks, routed, serve_config)


class Stages:
    """Numbers the stages of a run and tells how long each took."""

    def __init__(self, echo: Echo, total: int) -> None:
        """Start counting at one."""
        self.echo = echo
        self.total = total
        self.number = 0

    def run(self, title: str, work: Callable[[], Any]) -> Any:
        """Run one stage, with a line before and after it."""
        self.number += 1
        self.echo(f"[{self.number}/{self.total}] {title}")
        started = time.monotonic()
        result = work()
        self.echo(f"[{self.number}/{self.total}] done in {time.monotonic() - started:.0f} s")
        return result


def _write_serve_config(workspace: Workspace, port: int) -> Path:
    path = workspace.directory / "serve.yaml"
    config = {
        "zoo": str(workspace.zoo),
        "cards": str(workspace.cards),
        "router": str(workspace.router(ROUTER)),
        "port": port,
        "registry": {"folder": str(workspace.directory / "registry")},
    }
    write_text(path, yaml.safe_dump(config, sort_keys=False))
    return path
