"""Time that the benchmark records for its experiments."""

import pytest

from tests.benchmarks.quality.effort import Effort, record_effort, total_effort
from tests.benchmarks.report.provenance import provenance


def test_work_adds_up_over_interruptions_and_work_already_done_is_not_counted(tmp_path):
    result = tmp_path / "fold-0" / "router.json"
    with pytest.raises(KeyboardInterrupt), record_effort(tmp_path / "fold-0", result):
        raise KeyboardInterrupt
    after_one = total_effort(tmp_path)
    assert after_one.seconds > 0
    with record_effort(tmp_path / "fold-0", result):
        result.write_text("{}")
    after_two = total_effort(tmp_path)
    assert after_two.seconds > after_one.seconds
    with record_effort(tmp_path / "fold-0", result):
        pass
    assert total_effort(tmp_path) == after_two
    now = provenance()
    assert (after_two.days, after_two.commits) == ((now.date,), (now.commit,))


def test_experiments_are_taken_together(tmp_path):
    for name in ("fold-0", "fold-1"):
        with record_effort(tmp_path / name, tmp_path / name / "router.json"):
            pass
    assert len(total_effort(tmp_path).commits) == 1
    both = Effort(1.0, ("a",), ("x",), ("m",)).plus(Effort(2.0, ("b",), ("x",), ("m",)))
    assert both == Effort(3.0, ("a", "b"), ("x",), ("m",))
