"""The limit of the proof: how well a candidate known by its card alone is used."""

from tests.benchmarks.proof.limits import check_held_out


def report(family, without=0.75):
    """A report with the figures that the limit reads."""
    return {
        "router": {"by_category": {"facts": family}},
        "baselines": {
            "best_single": {"by_category": {"facts": without - 0.1}},
            "best_per_task": {"by_category": {"facts": without}},
        },
    }


def met(held_out, trained_on, without):
    return [c.is_met for c in check_held_out(held_out, trained_on, without, "facts")]


def test_held_out_limits():
    without = report(0.75)
    assert met(report(0.95), report(0.97), without) == [True, True]
    assert met(report(0.9), report(0.97), without) == [False, True]
    assert met(report(0.95), report(0.95), report(0.75, without=0.96)) == [True, False]
