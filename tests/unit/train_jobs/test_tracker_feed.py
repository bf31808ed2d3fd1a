"""The tracker feed sends every step, and training continues without a tracker."""

import threading
from collections.abc import Callable
from pathlib import Path

from tests.support.train_jobs.recorder import Recorder, Unresponsive
from train_jobs.tracker_feed import FeedTiming, TrackerFeed

FAST = FeedTiming(send_s=0.01, retry_s=0.01, end_s=30)


def feed(tracker: Recorder, folder: Path, said: list[str], **changes) -> TrackerFeed:
    settings = {"repeats_from": 0, "timing": FAST, **changes}
    return TrackerFeed(tracker, str(folder), "run", say=said.append, **settings)


def end(tracker_feed: TrackerFeed) -> None:
    tracker_feed.end()
    tracker_feed.wait()


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until a condition holds; the test timeout limits this."""
    while not is_so():
        threading.Event().wait(0.005)


def steps_of(tracker: Recorder) -> list[int]:
    return [step for step, _ in tracker.logged]


def test_each_step_is_sent_once_and_complete(tmp_path):
    tracker = Recorder()
    one = feed(tracker, tmp_path, [])
    one.write({"loss": 0.5}, 1)
    wait_for(lambda: tracker.run_ids != [])
    one.write({"validation/loss": 0.7}, 1)
    one.write({"loss": 0.25}, 2)
    wait_for(lambda: tracker.logged != [])
    assert tracker.logged == [(1, {"loss": 0.5, "validation/loss": 0.7})]
    one.publish()
    wait_for(lambda: steps_of(tracker) == [1, 2])
    assert not tracker.is_closed
    end(one)
    assert tracker.is_closed


def test_resumed_run_continues_without_repeating_sent_steps(tmp_path):
    first, again = Recorder(), Recorder("another")
    killed = feed(first, tmp_path, [])
    for step in range(6):
        killed.write({"loss": step}, step)
    killed.publish()
    note = tmp_path / "run" / "trackers" / "mlflow.json"
    wait_for(lambda: note.exists() and '"last_step": 5' in note.read_text())
    killed.write({"loss": 6}, 6)  # never sent: the worker dies, its last checkpoint of step 3
    resumed = feed(again, tmp_path, [], repeats_from=4)
    for step in (3, *range(4, 10)):
        resumed.write({"loss": step}, step)
    end(resumed)
    assert again.run_ids == ["first"]
    # A resumed run logs the checkpoint's step again: it belongs to the next stage and is new.
    assert steps_of(again) == [3, 6, 7, 8, 9]


def test_run_in_another_folder_starts_a_new_tracker_run(tmp_path):
    end(feed(Recorder(), tmp_path / "one", []))
    other = Recorder("other")
    end(feed(other, tmp_path / "two", []))
    assert other.run_ids == [None]


def test_failed_tracker_is_retried_and_warned_about_once(tmp_path):
    tracker = Recorder(fails=3)
    said: list[str] = []
    one = feed(tracker, tmp_path, said)
    for step in range(200):
        one.write({"loss": step}, step)
    wait_for(lambda: tracker.fails == 0)
    end(one)
    assert tracker.logged == [(step, {"loss": step}) for step in range(200)]
    assert said == [
        "mlflow failed, training continues: http://tracker:5000 refuses",
        "mlflow logs this run: run first",
    ]


def test_unresponsive_tracker_is_abandoned_with_a_message(tmp_path):
    said: list[str] = []
    one = feed(Unresponsive(), tmp_path, said, timing=FeedTiming(end_s=0.05))
    for step in range(10_050):
        one.write({"loss": step}, step)
    end(one)
    assert said == ["mlflow is missing 10050 steps of this run"]


def test_tracker_continues_if_its_state_cannot_be_written(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "trackers").write_text("a file in the folder's place")
    tracker = Recorder()
    said: list[str] = []
    one = feed(tracker, tmp_path, said)
    for step in range(3):
        one.write({"loss": step}, step)
        one.publish()
    end(one)
    assert steps_of(tracker) == [0, 1, 2]
    assert sum("cannot store the run id" in line for line in said) == 1
