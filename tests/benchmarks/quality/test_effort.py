"""What the benchmark records of its own work."""

import pytest

from tests.benchmarks.quality.effort import Effort, recorded, total_effort
from tests.benchmarks.report.provenance import provenance


def test_work_adds_up_over_interruptions_and_what_was_done_counts_not(tmp_path):
    result = tmp_path / "fold-0" / "router.json"
    with pytest.raises(KeyboardInterrupt), recorded(tmp_path / "fold-0", result):
        raise KeyboardInterrupt
    after_one = total_effort(tmp_path)
    assert after_one.seconds > 0
    with recorded(tmp_path / "fold-0", result):
        result.write_text("{}")
    after_two = total_effort(tmp_path)
    assert after_two.seconds > after_one.seconds
    with recorded(tmp_path / "fold-0", result):
        pass
    assert total_effort(tmp_path) == after_two
    now = provenance()
    assert (after_two.days, after_two.commits) == ((now.date,), (now.commit,))


def test_experiments_are_taken_together(tmp_path):
    for name in ("fold-0", "fold-1"):
        with recorded(tmp_path / name, tmp_path / name / "router.json"):
            pass
    assert len(total_effort(tmp_path).commits) == 1
    both = Effort(1.0, ("a",), ("x",), ("m",)).and_also(Effort(2.0, ("b",), ("x",), ("m",)))
    assert both == Effort(3.0, ("a", "b"), ("x",), ("m",))
