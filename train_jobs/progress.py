"""Progress of a training job: lines in its log, scalars for TensorBoard and trackers."""

import math
import resource
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from modelsat.progress import LINE_INTERVAL_S
from modelsat.training.config import STAGES, StageName
from modelsat.training.loop import StepResult
from train_jobs.event_file import EventFile
from train_jobs.tracker_feed import Tracker, TrackerFeed
from train_jobs.validation import Validation

# Weight of the previous mean step time at each step: the mean covers about the last ten steps.
_KEPT_FRACTION = 0.9
_MINUTE_S = 60
_HOUR_S = 3600


class TrainingProgress:
    """Follows one worker's run; silent on all workers but the first.

    Scalars are numbered by the step of the run: those of stage ``all`` follow those planned for
    stage ``connector``. A resumed run adds to the event files, and hides their entries for steps
    that it repeats.

    Args:
        storage_path: storage of the run.
        run: its folder there; event files go to ``tensorboard`` within it.
        epochs: epochs of each stage.
        steps_per_epoch: steps of an epoch of each stage.
        num_workers: workers; each reads the same number of tokens.
        speaks: whether this worker reports anything.
        resumed_after: stage and epoch that the run continues after; None for a new one.
        trackers: receive the same values as the event files.
        report_step: called on the first worker with the number of steps done.
        clock: seconds, from any start.
    """

    def __init__(
        self,
        storage_path: str,
        run: str,
        *,
        epochs: Mapping[StageName, int],
        steps_per_epoch: Mapping[StageName, int],
        num_workers: int,
        speaks: bool,
        resumed_after: tuple[StageName, int] | None = None,
        trackers: Sequence[Tracker] = (),
        report_step: Callable[[int], None] = lambda _done: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Open the event file and the trackers."""
        self.now_s = clock
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._num_workers = num_workers
        self._stage, self._epoch = resumed_after or ("connector", 0)
        self._step = steps_per_epoch[self._stage] if self._epoch else 0
        self._step_s = 0.0
        self._validation_s = 0.0
        self._last_s = 0.0
        self._line_s = clock()  # when the last line about a step was printed
        self._speaks = speaks
        self._report_step = report_step
        self._events: EventFile | None = None
        self._feeds: list[TrackerFeed] = []
        if speaks:
            repeats_from = None if resumed_after is None else self._step_of_run() + 1
            self._events = EventFile(storage_path, run, repeats_from=repeats_from, say=self.say)
            self._feeds = [
                TrackerFeed(one, storage_path, run, repeats_from=repeats_from or 0, say=self.say)
                for one in trackers
            ]

    def start_epoch(self, stage: StageName, epoch: int) -> None:
        """Start the clock of an epoch's first step; epoch 0 is the state before a stage."""
        if stage != self._stage:
            self._step_s = 0.0
        self._stage, self._epoch, self._step = stage, epoch, 0
        self._last_s = self.now_s()

    def step(self, result: StepResult, rates: Mapping[str, float]) -> None:
        """Report a step.

        Args:
            result: what the step did.
            rates: learning rate of each part.
        """
        now_s = self.now_s()
        taken_s, self._last_s = now_s - self._last_s, now_s
        kept = _KEPT_FRACTION if self._step_s else 0.0
        self._step_s = kept * self._step_s + (1 - kept) * taken_s
        self._step = result.step
        if self._speaks:
            self._report_step(self._step_of_run())
        scalars = {
            "loss": result.loss,
            "step_s": taken_s,
            "tokens_per_s": result.tokens * self._num_workers / taken_s,
            "peak_memory_gib": _peak_memory_bytes() / 2**30,
        }
        self._write(scalars | {f"learning_rate/{part}": rate for part, rate in rates.items()})
        if now_s - self._line_s >= LINE_INTERVAL_S:
            self._line_s = now_s
            shown = ", ".join(f"{part} {rate:.2g}" for part, rate in rates.items())
            self.say(
                f"{self._place(result.step)}: loss {result.loss:.4f}, learning rates {shown}, "
                f"{self._step_s:.2g} s a step, {scalars['tokens_per_s']:,.0f} tokens/s, "
                f"{scalars['peak_memory_gib']:.1f} GiB, about {_duration(self._left_s())} left"
            )

    def validated(
        self,
        found: Validation,
        started_s: float,
        *,
        step: int | None = None,
        training_loss: float | None = None,
    ) -> None:
        """Report a validation, and start the next step's clock.

        Args:
            found: what was seen.
            started_s: when it began, by :attr:`now_s`.
            step: of the epoch within which it was; None at its end.
            training_loss: mean over the epoch, at its end.
        """
        self._last_s = self.now_s()
        self._validation_s = self._last_s - started_s
        if step is None and self._epoch:
            self._step = self._steps_per_epoch[self._stage]
        values = {f"validation/{name}": value for name, value in found.as_dict().items()}
        self._write(values | {"epoch_loss": training_loss})
        trained = "" if training_loss is None else f"training loss {training_loss:.4f}, "
        self.say(
            f"{self._place(step)}: {trained}validation loss {found.validation_loss:.4f}, "
            f"AUC {found.validation_auc or 0:.4f}, "
            f"calibration error {found.calibration_error:.3f}, "
            f"routed {found.routing_accuracy:.1%}, best single {found.best_single_accuracy:.1%}"
        )

    def say(self, line: str) -> None:
        """Print a line on the first worker."""
        if self._speaks:
            print(line, flush=True)  # noqa: T201 - Ray carries workers' output to the job's log

    def publish(self) -> None:
        """Copy the event files to the storage of the run, and flush the trackers."""
        if self._events is not None:
            self._events.publish()
        for feed in self._feeds:
            feed.publish()

    def close(self) -> None:
        """End the event file and the trackers' runs; nothing may follow."""
        if self._events is not None:
            self._events.close()
        for feed in self._feeds:
            feed.end()
        for feed in self._feeds:
            feed.wait()

    def _left_s(self) -> float:
        """Seconds to the end of the last epoch at the stage's current pace.

        Too few in stage ``connector``: the steps of ``all`` are slower.
        """
        later = STAGES[STAGES.index(self._stage) + 1 :]
        epochs = self._epochs[self._stage] - self._epoch
        per_epoch = self._steps_per_epoch[self._stage]
        steps = epochs * per_epoch + per_epoch - self._step
        steps += sum(self._epochs[stage] * self._steps_per_epoch[stage] for stage in later)
        looks = epochs + 1 + sum(self._epochs[stage] + 1 for stage in later)
        return steps * self._step_s + looks * self._validation_s

    def _step_of_run(self) -> int:
        before = STAGES[: STAGES.index(self._stage)]
        steps = sum(self._epochs[stage] * self._steps_per_epoch[stage] for stage in before)
        done = max(self._epoch - 1, 0) * self._steps_per_epoch[self._stage]
        return steps + done + self._step

    def _place(self, step: int | None) -> str:
        within = "" if step is None else f", step {step}/{self._steps_per_epoch[self._stage]}"
        return f"stage {self._stage}, epoch {self._epoch}{within}"

    def _write(self, scalars: Mapping[str, float | None]) -> None:
        named = {f"{self._stage}/{name}": v for name, v in scalars.items() if v is not None}
        if self._events is not None:
            self._events.write(named, self._step_of_run())
        for feed in self._feeds:
            feed.write(named, self._step_of_run())


def _duration(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{math.ceil(seconds / _MINUTE_S)} min"
    return f"{seconds / _HOUR_S:.1f} h"


def _peak_memory_bytes() -> int:
    """Peak memory so far: of the GPU if there is one, otherwise of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
