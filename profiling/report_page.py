"""The report as a page: one HTML file with its heat map inside, readable offline."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

from modelsat.evaluation.report import svg_text

_CELL_IN = 0.26  # height and least width of a cell of the heat map, inches
_THUMBNAIL_PIXELS = (96, 96)
_MARGIN_IN = 1.6  # for names


def render_page(report: Mapping[str, Any], thumbnails: Mapping[str, Sequence[str]]) -> str:
    """The page of a report; every text in it is escaped.

    Args:
        report: the report.
        thumbnails: small images of each task that has images, from :func:`thumbnail`.
    """
    environment = Environment(
        loader=PackageLoader("profiling"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["percent"] = _percent
    heat_map = draw_heat_map(report["card_accuracy"]) if report["card_accuracy"] else None
    template = environment.get_template("report.html.j2")
    return template.render(report=report, heat_map=heat_map, thumbnails=thumbnails)


def thumbnail(data: bytes) -> str:
    """Return a small version of an image as a ``data:`` URL."""
    small = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.thumbnail(_THUMBNAIL_PIXELS)
        image.convert("RGB").save(small, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(small.getvalue()).decode()}"


def draw_heat_map(card_accuracy: Mapping[str, Mapping[str, float]]) -> str:
    """Candidates by tasks, darker where more answers are correct; an SVG element.

    Args:
        card_accuracy: share of correct answers, 0..1, by task, by candidate.
    """
    names = list(card_accuracy)
    tasks = list(dict.fromkeys(task for card in card_accuracy.values() for task in card))
    shares = np.array([[card_accuracy[n].get(task, np.nan) for task in tasks] for n in names])
    size = (
        _MARGIN_IN + max(3.0, _CELL_IN * len(tasks)),
        _MARGIN_IN + max(1.0, _CELL_IN * len(names)),
    )
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(100 * shares, vmin=0, vmax=100, cmap="YlGnBu", aspect="auto")
    axes.set_xticks(range(len(tasks)), tasks, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    figure.colorbar(image, label="correct answers (%)")
    return svg_text(figure)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
