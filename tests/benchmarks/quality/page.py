"""The page of the quality benchmark: Markdown, with plots in a folder beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from modelsat.artifacts.store import atomic_path, write_text
from modelsat.evaluation.limit_checks import LimitCheck
from modelsat.evaluation.metrics import Interval, cell_auc, reliability
from tests.benchmarks.quality.benchmark import BenchmarkResults, SliceResults
from tests.benchmarks.quality.gains import (
    BEST_SINGLE,
    Discrimination,
    Pooled,
    ZooFigures,
    auc_lead,
    best_auc,
    calibration_errors,
    discrimination,
    pooled_gains,
    zoo_figures,
)
from tests.benchmarks.quality.limits import held_out_auc, held_out_loss
from tests.benchmarks.quality.predictions import ROUTER, Predictions, pooled
from tests.benchmarks.quality.releases import Arrival
from tests.benchmarks.quality.routellm import PUBLISHED, EscalationRow
from tests.benchmarks.report.page import render_page

ALL_ZOOS = "all zoos"
_STYLE = {ROUTER: "#1f6feb", BEST_SINGLE: "#57606a", "knn": "#bf8700", "random": "#9aa4b2"}
_OTHER_COLOURS = ("#bf8700", "#1a7f37", "#8250df", "#cf222e")  # of predictors without one above
_LARGEST_MARKER = 150.0  # area in points squared: that of the bin with the most cells


@dataclass(frozen=True)
class SliceSection:
    """The figures of one slice as its tables show them.

    Attributes:
        name: name of the slice.
        num_questions: number of test questions of all folds.
        num_incomplete: number of questions left out because some candidate did not answer them.
        left_out: number of answers of each candidate left out for answering too few questions.
        num_candidates: number of candidates.
        members: candidates by zoo.
        discrimination: AUC and pair accuracy by predictor, the router first, then by AUC.
        best_auc: the baseline with the largest AUC.
        auc_lead: the router's AUC less that of ``best_auc``.
        zoos: figures of every zoo.
        pooled: mean figures of all zoos, and of the close ones.
        others: figures on questions on which no router was validated.
        tunings: by learned baseline, its setting in each fold.
        ece: expected calibration error over all cells.
        ece_by_candidate: expected calibration error of each candidate.
        held_out: by held-out candidate, AUC of the router without and with it in training.
        held_out_loss: AUC lost on the held-out candidates' cells by not training on them.
        held_out_ece: expected calibration error there, of the router not trained on them.
        seeds: by seed, AUC and mean gain over best single in points on the first fold.
    """

    name: str
    num_questions: int
    num_incomplete: int
    left_out: Mapping[str, int]
    num_candidates: int
    members: Mapping[str, Sequence[str]]
    discrimination: Mapping[str, Discrimination]
    best_auc: str
    auc_lead: Interval
    zoos: Sequence[ZooFigures]
    pooled: Mapping[str, Pooled]
    others: "OtherQuestions"
    tunings: Mapping[str, Sequence[str]]
    ece: float
    ece_by_candidate: Mapping[str, float]
    held_out: Mapping[str, tuple[float, float]]
    held_out_loss: Interval | None
    held_out_ece: float | None
    seeds: Mapping[int, tuple[float, float]]


@dataclass(frozen=True)
class OtherQuestions:
    """Figures on the questions on which no fold's router was validated.

    Attributes:
        num_questions: number of these questions.
        auc_lead: the router's AUC less that of the baseline with the largest over all questions.
        gain: accuracy of the router less that of the best single candidate, mean of all zoos.
    """

    num_questions: int
    auc_lead: Interval
    gain: Interval


def write_page(
    results: BenchmarkResults, checks: Sequence[LimitCheck], page: Path, *, preset: Path
) -> None:
    """Write the page and, in a folder of its name, the plots; each atomically.

    Args:
        results: measured results.
        checks: limits and measured figures.
        page: file to write.
        preset: training job of all routers.
    """
    plots = page.with_suffix("")
    made = _plots(results)
    # Rendered before any file is written: a written plot would mark the commit as dirty.
    text = render_page(
        "tests.benchmarks.quality",
        "quality.md.j2",
        {
            "percent": _percent,
            "points": _points,
            "auc_points": _auc_points,
            "three": "{:.3f}".format,
            "words": lambda name: name.replace("_", " "),
        },
        command="make benchmark-quality",
        checks=checks,
        slices=[section(one) for one in results.slices],
        releases=results.releases,
        edits=results.edits,
        release_means=_release_means(results.releases),
        routellm=results.routellm,
        published=PUBLISHED,
        out_of_domain=results.out_of_domain,
        missed=[check for check in checks if not check.is_met],
        effort=results.effort,
        preset=preset.stem,
        plots={name: f"{plots.name}/{name}.svg" for name in made},
    )
    # Without a fixed salt the ids in a plot differ each time it is drawn.
    with rc_context({"svg.hashsalt": plots.name}):
        for name, figure in made.items():
            with atomic_path(plots / f"{name}.svg") as temporary, temporary.open("wb") as file:
                figure.savefig(file, format="svg", metadata={"Date": None})
    write_text(page, text)


def section(results: SliceResults) -> SliceSection:
    """Return all figures of a slice."""
    whole, setups = pooled(results.folds), results.setups
    figures = discrimination(results.folds)
    order = sorted(figures, key=lambda name: (name != ROUTER, -(figures[name].auc or 0.0)))
    groups = {ALL_ZOOS: tuple(setups.zoos), "close zoos": setups.close}
    best = best_auc(figures)
    error, by_candidate = calibration_errors(whole.scores[ROUTER], whole)
    held_out_ece = None
    if results.held_out is not None:
        unseen = results.held_out.of(setups.held_out)
        held_out_ece = calibration_errors(unseen.scores[ROUTER], unseen)[0]
    return SliceSection(
        name=results.name,
        num_questions=len(whole),
        num_incomplete=results.num_incomplete,
        left_out=results.left_out,
        num_candidates=len(whole.candidates),
        members={name: members or whole.candidates for name, members in setups.zoos.items()},
        discrimination={name: figures[name] for name in order},
        best_auc=best,
        auc_lead=auc_lead(whole, best),
        zoos=zoo_figures(whole, setups),
        pooled={label: pooled_gains(whole, setups, zoos) for label, zoos in groups.items() if zoos},
        others=_others(results, whole, best),
        tunings=_tunings(results),
        ece=error,
        ece_by_candidate=by_candidate,
        held_out=held_out_auc(results),
        held_out_loss=held_out_loss(results),
        held_out_ece=held_out_ece,
        seeds=_seeds(results),
    )


def _others(results: SliceResults, whole: Predictions, best: str) -> OtherQuestions:
    is_other_Q = [question not in results.validated_elsewhere for question in whole.question_ids]
    rest = whole.rows(np.array(is_other_Q))
    gains = pooled_gains(rest, results.setups, results.setups.zoos)
    return OtherQuestions(len(rest), auc_lead(rest, best), gains.router)


def _tunings(results: SliceResults) -> dict[str, list[str]]:
    return {
        name: [
            f"{', '.join(f'{value:g}' for value in fold[name].setting.values())} "
            f"({fold[name].validation_auc:.3f})"
            for fold in results.tunings
        ]
        for name in results.tunings[0]
    }


def _seeds(results: SliceResults) -> dict[int, tuple[float, float]]:
    first = results.folds[0]
    made = {}
    for seed, predictions in {0: first, **results.seeds}.items():
        own = first.with_scores({ROUTER: predictions.of(first.candidates).scores[ROUTER]})
        gain = pooled_gains(own, results.setups, results.setups.zoos).router
        made[seed] = (cell_auc(own.scores[ROUTER], own.correct_QM) or 0.0, 100 * gain.difference)
    return made


def _release_means(releases: Sequence[Arrival]) -> dict[str, float]:
    late = [arrival for arrival in releases if not arrival.was_trained_on]
    if not late:
        return {}
    return {
        name: float(np.mean([arrival.accuracy[name] for arrival in late]))
        for name in late[0].accuracy
    }


def _plots(results: BenchmarkResults) -> dict[str, Figure]:
    made = {f"reliability-{one.name}": _reliability_plot(one) for one in results.slices}
    if results.releases:
        made["releases"] = _release_plot(results.releases)
    for number, (setting, rows) in enumerate(results.routellm.items()):
        made[f"routellm-{number}"] = _escalation_plot(setting, rows)
    return made


def _reliability_plot(results: SliceResults) -> Figure:
    whole = pooled(results.folds)
    figure, axes = _figure()
    bins = reliability(whole.scores[ROUTER], whole.correct_QM)
    axes.plot([0, 1], [0, 1], color=_STYLE["random"], linewidth=1)
    places, shares = [b.probability for b in bins], [b.accuracy for b in bins]
    most = max(b.count for b in bins)
    areas = [_LARGEST_MARKER * b.count / most for b in bins]
    axes.plot(places, shares, color=_STYLE[ROUTER], linewidth=1)
    axes.scatter(places, shares, s=areas, color=_STYLE[ROUTER])
    title = f"{results.name} (areas: number of cells)"
    axes.set(xlabel="P(correct)", ylabel="share correct", title=title)
    return figure


def _release_plot(releases: Sequence[Arrival]) -> Figure:
    figure, axes = _figure()
    places = range(len(releases))
    for name, colour in _STYLE.items():
        values = [100 * arrival.accuracy[name] for arrival in releases]
        axes.plot(places, values, "o-", markersize=3, color=colour, label=name.replace("_", " "))
    axes.set_xticks(places, [a.candidate for a in releases], rotation=90, fontsize=6)
    axes.set(ylabel="correct, %", title="five best so far and the newest")
    unseen = [i for i in places if not releases[i].was_trained_on]
    if unseen:
        axes.axvspan(min(unseen) - 0.5, max(unseen) + 0.5, color="#1f6feb", alpha=0.06)
    axes.legend(frameon=False, fontsize=7)
    return figure


def _escalation_plot(setting: str, rows: Sequence[EscalationRow]) -> Figure:
    figure, axes = _figure()
    others = cycle(_OTHER_COLOURS)
    for row in rows:
        colour = _STYLE.get(row.name) or next(others)
        axes.plot(
            100 * row.curve.strong_share,
            100 * row.curve.accuracy,
            color=colour,
            linewidth=1.2,
            label=f"{row.name.replace('_', ' ')} (APGR {row.curve.apgr:.3f})",
        )
    axes.set(xlabel="strong calls, %", ylabel="correct, %", title=setting)
    axes.legend(frameon=False, fontsize=7)
    return figure


def _figure() -> tuple[Figure, Any]:
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _auc_points(interval: Interval) -> str:
    return f"{interval.difference:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


def _points(interval: Interval) -> str:
    return (
        f"{100 * interval.difference:+.2f} "
        f"({100 * interval.low:+.2f} to {100 * interval.high:+.2f})"
    )
