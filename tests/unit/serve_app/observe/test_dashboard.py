"""The Grafana dashboard against the metrics that exist."""

import json
import re
from pathlib import Path

import pytest

import serve_app
from serve_app.observe.instruments import METRICS

FILE = Path(serve_app.__file__).parent / "dashboards" / "modelsat.json"
DASHBOARD = json.loads(FILE.read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
BY_NAME = {metric.name: metric for metric in METRICS}


def metric_of(exported):
    """The metric that Ray exports under a name."""
    name = exported.removeprefix("ray_")
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return BY_NAME.get(name) or BY_NAME.get(base)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_it_names_exists(expression):
    names = re.findall(r"\b[a-z_]*modelsat_[a-z_]+", expression)
    assert names
    labels = {"le"}
    for name in names:
        metric = metric_of(name)
        assert metric is not None, name
        assert name.startswith("ray_")
        is_part = name.endswith(("_bucket", "_sum", "_count"))
        assert is_part == (metric.kind == "histogram"), name
        assert (metric.kind == "gauge") != ("rate(" in expression or "increase(" in expression)
        labels |= set(metric.labels)
    for group in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in group.split(",")} <= labels
    for label in re.findall(r"\{([a-z_]+)=", expression):
        assert label in labels


def test_every_metric_is_shown():
    shown = {
        metric_of(name).name
        for expression in EXPRESSIONS
        for name in re.findall(r"ray_modelsat_[a-z_]+", expression)
    }
    assert shown == set(BY_NAME)


def test_legends_name_labels_that_the_expression_keeps():
    for panel in PANELS:
        for target in panel["targets"]:
            kept = " ".join(re.findall(r"by \(([^)]*)\)", target["expr"]))
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"\b{label}\b", kept), target


def test_panels_do_not_overlap():
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
