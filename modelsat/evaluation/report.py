"""The evaluation report as a single HTML file with embedded plots."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelsat.artifacts.store import write_json, write_text
from modelsat.evaluation.signs import verdict
from modelsat.evaluation.tradeoff import tradeoff_plot

_ROUTER_COLOUR = "#1f6feb"
_OTHER_COLOUR = "#9aa4b2"
_FIRST = ("random", "best_single", "best_per_task", "card_lookup")
_LAST = ("router", "oracle")  # learned baselines come in between


def write_report(report: Mapping[str, Any], directory: str | Path) -> None:
    """Write ``report.json`` and ``report.html``, each atomically."""
    folder = Path(directory)
    write_json(folder / "report.json", report)
    write_text(folder / "report.html", render_html(report))


def render_html(report: Mapping[str, Any]) -> str:
    """Render a report as HTML; all text is escaped."""
    environment = Environment(
        loader=PackageLoader("modelsat.evaluation"), autoescape=True, undefined=StrictUndefined
    )
    template = environment.get_template("report.html.j2")
    return template.render(
        report=report, policies=policy_rows(report), plots=_plots(report), verdict=verdict
    )


def policy_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return name, accuracy and detail of router and baselines, in display order."""
    rows = {
        name: {"name": name.replace("_", " "), "accuracy": row["accuracy"], "detail": row["detail"]}
        for name, row in report["baselines"].items()
    }
    gain = report["router"]["gain_over_best_single"]
    rows["router"] = {
        "name": "router",
        "accuracy": report["router"]["accuracy"],
        "detail": f"{100 * gain['difference']:+.1f} points over best single "
        f"({report['router']['confidence']:.0%} interval "
        f"{100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})",
    }
    learned = [name for name in rows if name not in _FIRST and name not in _LAST]
    return [rows[name] for name in (*_FIRST, *learned, *_LAST)]


def _plots(report: Mapping[str, Any]) -> list[dict[str, str]]:
    plots = [
        {"title": "Accuracy of each policy", "svg": _draw(_accuracy_plot, report)},
        {"title": "Accuracy by category", "svg": _draw(_category_plot, report)},
        {"title": "Reliability of P(correct)", "svg": _draw(_reliability_plot, report)},
        {"title": "Share of requests", "svg": _draw(_share_plot, report)},
    ]
    if report["tradeoff"] is not None:
        plots.append({"title": "Cost and quality", "svg": _draw(tradeoff_plot, report)})
    return plots


def _draw(plot: Any, report: Mapping[str, Any]) -> str:
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    plot(axes, report)
    return svg_text(figure)


def svg_text(figure: Figure) -> str:
    """Render a figure as an SVG element for an HTML page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _accuracy_plot(axes: Axes, report: Mapping[str, Any]) -> None:
    rows = policy_rows(report)
    colours = [_ROUTER_COLOUR if row["name"] == "router" else _OTHER_COLOUR for row in rows]
    values = [100 * row["accuracy"] for row in rows]
    _bars(axes, [row["name"] for row in rows], values, colours)
    axes.set_xlabel("correct answers (%)")


def _share_plot(axes: Axes, report: Mapping[str, Any]) -> None:
    values = [100 * share for share in report["shares"].values()]
    _bars(axes, list(report["shares"]), values, [_ROUTER_COLOUR] * len(values))
    axes.set_xlabel("requests routed to the candidate (%)")


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], colours: list[str]) -> None:
    bars = axes.barh(list(names), list(values), color=colours)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.invert_yaxis()
    axes.set_xlim(0, 108)


def _category_plot(axes: Axes, report: Mapping[str, Any]) -> None:
    shown = {
        "best single": (report["baselines"]["best_single"], _OTHER_COLOUR),
        "best per task": (report["baselines"]["best_per_task"], "#d0d7de"),
        "router": (report["router"], _ROUTER_COLOUR),
    }
    categories = list(report["router"]["by_category"])
    width = 0.8 / len(shown)
    for i, (name, (row, colour)) in enumerate(shown.items()):
        places = [c + (i - 1) * width for c in range(len(categories))]
        values = [100 * row["by_category"][category] for category in categories]
        axes.bar(places, values, width, label=name, color=colour)
    axes.set_xticks(range(len(categories)), [c or "all" for c in categories], rotation=20)
    axes.set_ylabel("correct answers (%)")
    axes.set_ylim(0, 118)
    axes.legend(ncols=3, frameon=False, loc="upper center")


def _reliability_plot(axes: Axes, report: Mapping[str, Any]) -> None:
    bins = report["reliability"]
    axes.plot([0, 1], [0, 1], color=_OTHER_COLOUR, linestyle="--", label="perfect")
    axes.plot(
        [one["probability"] for one in bins],
        [one["accuracy"] for one in bins],
        color=_ROUTER_COLOUR,
        marker="o",
        label=f"router, ECE {report['router']['ece']:.3f}",
    )
    axes.set_xlabel("stated probability")
    axes.set_ylabel("share correct")
    axes.legend(frameon=False)
