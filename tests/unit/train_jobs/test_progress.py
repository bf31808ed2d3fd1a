"""Progress lines and scalars of a run, with a fake clock."""

from pathlib import Path

import pytest

from modelsat.training.loop import StepResult
from tests.support.train_jobs.event_files import read_scalars
from tests.support.train_jobs.recorder import Recorder
from train_jobs.progress import TrainingProgress
from train_jobs.validation import Validation

FOUND = Validation(
    validation_loss=0.5,
    validation_auc=0.75,
    calibration_error=0.125,
    routing_accuracy=0.625,
    best_single_accuracy=0.5,
)
FULL = Path("/dev/full")  # every write to it fails as on a full disk
RATES = {"base": 1e-5, "capability": 1e-4}


class Clock:
    """A clock that is advanced by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def follow(folder: Path, clock: Clock, **changes) -> TrainingProgress:
    settings = {
        "epochs": {"connector": 1, "all": 2},
        "steps_per_epoch": {"connector": 30, "all": 50},
        "num_workers": 2,
        "speaks": True,
        **changes,
    }
    return TrainingProgress(str(folder), "run", clock=clock, **settings)


def look(progress: TrainingProgress, clock: Clock, **at) -> None:
    started_s = progress.now_s()
    clock.seconds += 3
    progress.validated(FOUND, started_s, **at)


def steps(progress: TrainingProgress, clock: Clock, first: int, last: int) -> None:
    for step in range(first, last + 1):
        clock.seconds += 2
        progress.step(StepResult(step, 1 / step, tokens=100), RATES)


def test_progress_line_has_rate_and_time_left(tmp_path, capsys):
    clock = Clock()
    progress = follow(tmp_path, clock)
    progress.start_epoch("connector", 0)
    look(progress, clock)
    progress.start_epoch("connector", 1)
    steps(progress, clock, 1, 25)  # half a minute after the start is in step 14
    progress.close()
    first, last = capsys.readouterr().out.splitlines()
    assert first == (
        "stage connector, epoch 0: validation loss 0.5000, AUC 0.7500, calibration error 0.125, "
        "routed 62.5%, best single 50.0%"
    )
    assert "stage connector, epoch 1, step 14/30: loss 0.0714" in last
    assert "learning rates base 1e-05, capability 0.0001, 2 s a step, 100 tokens/s" in last
    # 16 + 2 * 50 steps of 2 s, and 1 + 3 looks of 3 s: 244 s.
    assert last.endswith("about 5 min left")


def test_validation_within_an_epoch_does_not_count_as_step_time(tmp_path, capsys):
    clock = Clock()
    progress = follow(tmp_path, clock)
    progress.start_epoch("all", 2)
    steps(progress, clock, 1, 24)
    look(progress, clock, step=24)
    steps(progress, clock, 25, 25)
    assert "2 s a step, 100 tokens/s" in capsys.readouterr().out
    progress.close()
    scalars = read_scalars(tmp_path / "run" / "tensorboard")
    # Steps of connector, then of the first epoch, then of this one.
    assert set(scalars["all/step_s"]) == {30 + 50 + step for step in range(1, 26)}
    assert set(scalars["all/step_s"].values()) == {2.0}
    assert scalars["all/loss"][30 + 50 + 4] == 0.25
    assert scalars["all/learning_rate/capability"][81] == pytest.approx(1e-4)
    assert scalars["all/validation/routing_accuracy"] == {104: 0.625}
    assert scalars["all/peak_memory_gib"][81] > 0


def test_resumed_run_hides_repeated_steps(tmp_path):
    clock = Clock()
    progress = follow(tmp_path, clock)
    progress.start_epoch("connector", 1)
    steps(progress, clock, 1, 30)
    look(progress, clock, training_loss=0.7)
    progress.start_epoch("all", 1)
    steps(progress, clock, 1, 40)
    progress.close()
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    events.rename(events.with_name("events.out.tfevents.0"))
    again = follow(tmp_path, clock, resumed_after=("connector", 1))
    again.start_epoch("all", 1)
    steps(again, clock, 1, 10)
    again.close()
    scalars = read_scalars(tmp_path / "run" / "tensorboard")
    assert set(scalars["connector/loss"]) == set(range(1, 31))
    assert scalars["connector/epoch_loss"] == {30: pytest.approx(0.7)}
    assert set(scalars["all/loss"]) == set(range(31, 41))


def test_full_disk_stops_the_event_file_but_not_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "tensorboardX.record_writer.open", lambda *_: FULL.open("wb"), raising=False
    )
    clock = Clock()
    progress = follow(tmp_path, clock)
    progress.start_epoch("all", 1)
    steps(progress, clock, 1, 50)
    progress.publish()
    progress.close()
    said = capsys.readouterr().out.splitlines()
    assert sum("No space left on device" in line for line in said) == 1
    assert any("step 45/50" in line for line in said)  # half a minute after step 30


def test_tracker_receives_the_scalars_of_the_event_files(tmp_path):
    clock, tracker = Clock(), Recorder()
    progress = follow(tmp_path, clock, trackers=[tracker])
    progress.start_epoch("connector", 1)
    steps(progress, clock, 1, 30)
    look(progress, clock, training_loss=0.7)
    progress.publish()
    # A look before the stage's first step has the number of the step before.
    progress.start_epoch("all", 0)
    look(progress, clock)
    progress.start_epoch("all", 1)
    steps(progress, clock, 1, 4)
    look(progress, clock, step=4)
    steps(progress, clock, 5, 5)
    progress.close()
    logged: dict[str, dict[int, float]] = {}
    for step, scalars in tracker.logged:
        for name, value in scalars.items():
            assert step not in logged.setdefault(name, {})
            logged[name][step] = value
    held = read_scalars(tmp_path / "run" / "tensorboard")
    assert logged.keys() == held.keys()
    for name, values in held.items():
        assert logged[name] == pytest.approx(values)
    assert logged["all/validation/routing_accuracy"] == {30: 0.625, 34: 0.625}
    assert tracker.is_closed


def test_other_workers_log_and_write_nothing(tmp_path, capsys):
    clock, tracker = Clock(), Recorder()
    progress = follow(tmp_path, clock, speaks=False, trackers=[tracker])
    progress.start_epoch("connector", 1)
    steps(progress, clock, 1, 30)
    look(progress, clock, training_loss=0.7)
    progress.close()
    assert not list(tmp_path.iterdir())
    assert not tracker.run_ids
    assert capsys.readouterr().out == ""
