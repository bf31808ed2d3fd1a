"""What a tracker is told, and what a training does without it."""

import threading
from collections.abc import Callable
from pathlib import Path

from tests.support.train_jobs.recorder import Deaf, Recorder
from train_jobs.tracker_feed import Pace, TrackerFeed

FAST = Pace(send_s=0.01, retry_s=0.01, end_s=30)


def feed(tracker: Recorder, folder: Path, said: list[str], **changes) -> TrackerFeed:
    settings = {"repeats_from": 0, "pace": FAST, **changes}
    return TrackerFeed(tracker, str(folder), "run", say=said.append, **settings)


def end(one: TrackerFeed) -> None:
    one.end()
    one.wait()


def wait_for(is_so: Callable[[], bool]) -> None:
    """The tests' own limit ends this."""
    while not is_so():
        threading.Event().wait(0.005)


def steps_of(tracker: Recorder) -> list[int]:
    return [step for step, _ in tracker.heard]


def test_a_step_is_told_once_and_whole(tmp_path):
    tracker = Recorder()
    one = feed(tracker, tmp_path, [])
    one.write({"loss": 0.5}, 1)
    wait_for(lambda: tracker.known != [])
    one.write({"validation/loss": 0.7}, 1)
    one.write({"loss": 0.25}, 2)
    wait_for(lambda: tracker.heard != [])
    assert tracker.heard == [(1, {"loss": 0.5, "validation/loss": 0.7})]
    one.publish()
    wait_for(lambda: steps_of(tracker) == [1, 2])
    assert not tracker.is_closed
    end(one)
    assert tracker.is_closed


def test_a_resumed_run_goes_on_and_repeats_nothing_that_was_told(tmp_path):
    first, again = Recorder(), Recorder("another")
    killed = feed(first, tmp_path, [])
    for step in range(6):
        killed.write({"loss": step}, step)
    killed.publish()
    note = tmp_path / "run" / "trackers" / "mlflow.json"
    wait_for(lambda: note.exists() and '"last_step": 5' in note.read_text())
    killed.write({"loss": 6}, 6)  # never told: the worker dies, its last checkpoint of step 3
    resumed = feed(again, tmp_path, [], repeats_from=4)
    for step in (3, *range(4, 10)):
        resumed.write({"loss": step}, step)
    end(resumed)
    assert again.known == ["first"]
    # What a resumed run says of the checkpoint's own step is the next stage's, and new.
    assert steps_of(again) == [3, 6, 7, 8, 9]


def test_a_run_in_another_folder_begins_anew(tmp_path):
    end(feed(Recorder(), tmp_path / "one", []))
    other = Recorder("other")
    end(feed(other, tmp_path / "two", []))
    assert other.known == [None]


def test_a_tracker_that_fails_is_told_later_and_warned_of_once(tmp_path):
    tracker = Recorder(fails=3)
    said: list[str] = []
    one = feed(tracker, tmp_path, said)
    for step in range(200):
        one.write({"loss": step}, step)
    wait_for(lambda: tracker.fails == 0)
    end(one)
    assert tracker.heard == [(step, {"loss": step}) for step in range(200)]
    assert said == [
        "mlflow is not told, training goes on: http://tracker:5000 refuses",
        "mlflow is told of this run: run first",
    ]


def test_a_tracker_that_never_answers_is_left_behind_with_a_line(tmp_path):
    said: list[str] = []
    one = feed(Deaf(), tmp_path, said, pace=Pace(end_s=0.05))
    for step in range(10_050):
        one.write({"loss": step}, step)
    end(one)
    assert said == ["mlflow lacks 10050 steps of this run"]


def test_a_disk_that_takes_no_note_costs_the_tracker_nothing(tmp_path):
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
    assert sum("cannot keep which run" in line for line in said) == 1
