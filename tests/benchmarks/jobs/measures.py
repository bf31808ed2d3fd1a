"""The measurements of the jobs benchmark; those that are compared alternate, once per round."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from modelsat.modeling.tiny import write_tiny_parts
from tests.benchmarks.jobs.aptitude import (
    measure_engine_alone,
    measure_engine_run,
    measure_url,
    save_large_model,
)
from tests.benchmarks.jobs.kills import (
    Faults,
    Kill,
    kill_engine_runs,
    kill_url_runs,
    run_with_faults,
)
from tests.benchmarks.jobs.training import measure_bare, measure_on_ray
from tests.benchmarks.report.spread import Spread
from tests.support.router_parts import make_matrix
from tests.support.train_jobs.distributed import (
    ONE_WORKER,
    TWO_WORKERS,
    moved_apart,
    run_ranks,
)

Echo = Callable[[str], None]

# Runs of 20 steps whose weights must agree, by the names of their cases.
_SAME_WEIGHTS = {
    "two ranks, one rank": ("two", "one-accumulates"),
    "uninterrupted, resumed after 10 steps": ("two", "two-resumed"),
    "ZeRO-2, ZeRO-3": ("two", "two-zero-3"),
}


@dataclass(frozen=True)
class Sizes:
    """Sizes of the measurements.

    Attributes:
        url_questions: questions for the slow URL.
        engine_questions: questions for the random Llama.
        training_steps: steps of one training run.
    """

    url_questions: int
    engine_questions: int
    training_steps: int


FULL = Sizes(url_questions=400, engine_questions=512, training_steps=10)
SMALL = Sizes(url_questions=160, engine_questions=64, training_steps=4)


@dataclass
class Figures:
    """All measured figures; rates in rows or tokens per second.

    Attributes:
        url_rows_per_s: rate of a slow URL, by number of replicas.
        url_ratio: rate of two replicas over that of one in the same round.
        engine_rows_per_s: rate of the random Llama through the job, by number of replicas.
        alone_rows_per_s: rate of the same engine without the job.
        pipeline_ratio: rate through the job over that of the engine alone in the same round.
        start_s: time of the job with one replica until its first batch is answered.
        bare_tokens_per_s: rate of the bare training loop.
        ray_tokens_per_s: rate of the same training under Ray Train and DeepSpeed.
        training_ratio: rate under Ray Train over that of the bare loop in the same round.
        losses: mean loss of the bare loop and of the training under Ray Train, nats.
        num_parameters: parameters of the random Llama.
        kills: killed runs.
        faults: the run with faults.
        moved_apart: distance between final weights over the distance moved, by difference of the
            runs.
    """

    url_rows_per_s: dict[int, Spread] = field(default_factory=dict)
    url_ratio: Spread = field(default_factory=Spread)
    engine_rows_per_s: dict[int, Spread] = field(default_factory=dict)
    alone_rows_per_s: Spread = field(default_factory=Spread)
    pipeline_ratio: Spread = field(default_factory=Spread)
    start_s: Spread = field(default_factory=Spread)
    bare_tokens_per_s: Spread = field(default_factory=Spread)
    ray_tokens_per_s: Spread = field(default_factory=Spread)
    training_ratio: Spread = field(default_factory=Spread)
    losses: tuple[float, float] = (0.0, 0.0)
    num_parameters: int = 0
    kills: list[Kill] = field(default_factory=list)
    faults: Faults | None = None
    moved_apart: dict[str, float] = field(default_factory=dict)


class Bench:
    """Measures into one folder.

    Args:
        work: new folder.
        sizes: how much.
        echo: receives progress.
    """

    def __init__(self, work: Path, sizes: Sizes, echo: Echo) -> None:
        self._work, self._sizes, self._echo = work, sizes, echo
        self.figures = Figures()

    def run(self, num_rounds: int) -> Figures:
        """Measure everything, rates ``num_rounds`` times."""
        self._echo("faults")
        self.figures.faults = run_with_faults(self._work / "faults")
        self._echo("ranks")
        self._compare_weights(self._work / "weights")
        self._echo("kills")
        self.figures.kills = [
            *kill_url_runs(self._work / "url-kills"),
            *kill_engine_runs(self._work / "engine-kills"),
        ]
        self.figures.num_parameters = save_large_model(self._work / "large")
        self._echo("two engines on the same cores")
        run = measure_engine_run(
            self._work / "two", self._work / "large", 2, self._sizes.engine_questions
        )
        self.figures.engine_rows_per_s[2] = Spread([run.rows_per_s])
        for number in range(num_rounds):
            folder = self._work / f"round-{number}"
            of = f"round {number + 1} of {num_rounds}"
            self._echo(f"{of}: the pipeline and its engine")
            self._measure_pipeline(folder)
            self._echo(f"{of}: training")
            self._measure_training(folder)
            self._echo(f"{of}: replicas before a slow URL")
            self._measure_url(folder)
        return self.figures

    def _measure_pipeline(self, folder: Path) -> None:
        model, number = self._work / "large", self._sizes.engine_questions
        alone = measure_engine_alone(model, number)
        run = measure_engine_run(folder / "job", model, 1, number)
        figures = self.figures
        figures.alone_rows_per_s.add(alone)
        figures.engine_rows_per_s.setdefault(1, Spread()).add(run.rows_per_s)
        figures.pipeline_ratio.add(run.rows_per_s / alone)
        figures.start_s.add(run.row["start_s"])
        self._echo(f"  {run.rows_per_s:.2f} rows/s, {alone:.2f} without the job")

    def _measure_training(self, folder: Path) -> None:
        steps = self._sizes.training_steps
        bare = measure_bare(steps)
        ray = measure_on_ray(folder / "training", steps)
        figures = self.figures
        figures.bare_tokens_per_s.add(bare.tokens_per_s)
        figures.ray_tokens_per_s.add(ray.tokens_per_s)
        figures.training_ratio.add(ray.tokens_per_s / bare.tokens_per_s)
        figures.losses = (bare.mean_loss, ray.mean_loss)
        self._echo(f"  {ray.tokens_per_s:.0f} tokens/s, bare {bare.tokens_per_s:.0f}")

    def _measure_url(self, folder: Path) -> None:
        rates = {}
        for replicas in (1, 2):
            run = measure_url(folder / f"url-{replicas}", replicas, self._sizes.url_questions)
            rates[replicas] = run.rows_per_s
            self.figures.url_rows_per_s.setdefault(replicas, Spread()).add(run.rows_per_s)
        self.figures.url_ratio.add(rates[2] / rates[1])
        self._echo(f"  {rates[2]:.2f} rows/s by two, {rates[1]:.2f} by one")

    def _compare_weights(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        base, encoder = write_tiny_parts(folder / "parts", make_matrix().instructions, seed=0)
        parts = {"base": str(base), "encoder": str(encoder)}
        wanted = {name for pair in _SAME_WEIGHTS.values() for name in pair}
        for num_workers, known in ((2, TWO_WORKERS), (1, ONE_WORKER)):
            plan = folder / f"{num_workers}.json"
            cases = [case for case in known if case["name"] in wanted]
            plan.write_text(json.dumps({"parts": parts, "out": str(folder), "cases": cases}))
            run_ranks(plan, num_workers)
        self.figures.moved_apart = {
            what: moved_apart(folder, *names) for what, names in _SAME_WEIGHTS.items()
        }
