"""The interface of an engine for profiling."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelsat.aptitude.prompts import Prompts
from profiling.config import RemoteConfig
from profiling.job import CandidateJob, Finish

if TYPE_CHECKING:
    from ray.data import Dataset


class ProfilingEngine(ABC):
    """One candidate's engine.

    The constructor takes the candidate and must be cheap: a run that has nothing to do makes
    engines too. Answers come from :meth:`answer` alone.
    """

    @abstractmethod
    def check(self, prompts: Prompts) -> None:
        """Check what can be checked before the run starts.

        Args:
            prompts: how questions are put.

        Raises:
            ZooError: the candidate cannot answer questions that are put this way, or its files
                cannot be loaded.
        """

    @abstractmethod
    def reads(self, row: Mapping[str, Any]) -> bool:
        """Return whether the candidate reads everything in a question.

        Args:
            row: of a questions table.
        """

    def hashed_settings(self, limits: RemoteConfig) -> Mapping[str, Any]:
        """Return run settings of this engine that change answers.

        They enter the work hash beside the candidate's own content hash.
        """
        return {}

    @abstractmethod
    def replica_resources(self) -> dict[str, float]:
        """Return what one replica reserves, by Ray's resource names."""

    @abstractmethod
    def deadline_advice(self, num_replicas: int, has_answered: bool) -> str:
        """Return why the deadline may have passed and what to do about it.

        Args:
            num_replicas: replicas that the candidate needs to begin.
            has_answered: whether it has answered any question.
        """

    @abstractmethod
    def answer(self, questions: "Dataset", job: CandidateJob, finish: Finish) -> "Dataset":
        """Return the dataset of graded answers, not yet executed.

        Each replica hands its batches to a :class:`profiling.keeping.BatchKeeper`. A question
        without an answer becomes a failed row and does not stop the others.

        Args:
            questions: columns question_id, task, prompt, answer, n_choices, grader,
                grader_args, request and images; one block per batch.
            job: the candidate's job.
            finish: grades one answered row.

        Returns:
            Rows as ``finish`` makes them, in any order.
        """
