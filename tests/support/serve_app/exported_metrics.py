"""The metrics of this project that a Prometheus server finds on a node's metrics port."""

import re
import urllib.request

import ray

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def exported():
    """All samples of this node as (name, labels, value)."""
    node = ray.nodes()[0]
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with _DIRECT.open(url, timeout=10) as answer:
        text = answer.read().decode()
    samples = []
    for line in text.splitlines():
        if found := re.fullmatch(r"(ray_modelsat_\w+)\{(.*)\} (\S+)", line):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', found[2]))
            samples.append((found[1], labels, float(found[3])))
    return samples
