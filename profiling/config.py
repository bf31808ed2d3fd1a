"""Configuration of one profiling run, and of any run that asks candidates."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from modelsat.aptitude.prompts import PromptConfig, check_request_fields
from modelsat.config import FrozenConfig


class RemoteConfig(FrozenConfig):
    """How hard one candidate behind a URL may be asked.

    Attributes:
        concurrency: most requests that one replica has open; ``block_size`` bounds them too.
        requests_per_minute: most requests, retries included, of all its replicas together,
            evenly spaced; None: as many as are answered.
        max_retries: how often a request is repeated that found no connection or no answer in
            time, or a status of 408, 409, 429 or 500 and above: after 0.5 s, then twice as long
            each time up to 8 s, or when ``Retry-After`` says so.
        request_timeout_s: longest silence of the URL in one request, seconds.
        request_fields: fields of each request's body beside ours; one set to null is not sent.
            For a model that takes no ``max_tokens``:
            ``{max_tokens: null, max_completion_tokens: 512}``.
    """

    concurrency: int = Field(default=32, ge=1)
    requests_per_minute: float | None = Field(default=None, gt=0)
    max_retries: int = Field(default=6, ge=0)
    request_timeout_s: float = Field(default=60.0, gt=0)
    request_fields: dict[str, Any] = Field(default_factory=dict)

    @field_validator("request_fields")
    @classmethod
    def _not_ours(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return check_request_fields(fields)


class JudgeConfig(FrozenConfig):
    """The model that grades answers to questions whose grader is ``judge``.

    Attributes:
        name: a candidate of the zoo that answers at a URL, or a model that ``url`` serves.
        url: endpoint that serves the judge; None: the URL of its zoo entry.
        api_key_env: environment variable with the key; None: that of its zoo entry, or none.
        rubric: text file that says what scores from 0 to 10 mean, for questions without a rubric
            of their own; None: the built-in rubric.
        allow_itself: whether the judge grades its own answers.
        max_new_tokens: most tokens of a reply.
        request_timeout_s: longest silence of the URL in one request, seconds.
    """

    name: str = Field(min_length=1)
    url: str | None = None
    api_key_env: str | None = None
    rubric: Path | None = None
    allow_itself: bool = False
    max_new_tokens: int = Field(default=512, ge=1)
    request_timeout_s: float = Field(default=120.0, gt=0)


class AskingConfig(FrozenConfig):
    """How the candidates of a zoo are asked.

    Attributes:
        zoo: zoo file.
        output_dir: folder of the results; on a cluster of several machines, on storage that every
            machine sees.
        candidates: names to profile; None profiles the whole zoo.
        replicas: engines per candidate that share its questions; behind a URL, processes that
            ask it. Two numbers are bounds: it begins with as many as the first, and others join
            as long as questions wait and the cluster has room.
        max_parallel_candidates: most candidates profiled side by side, as far as the cluster has
            room; one that it has no room for lets those behind it pass.
        block_size: most questions that one engine works on at once, and so the most per replica
            that are asked again when the run is killed at any point.
        batch_size: questions whose answers are kept together as soon as all are there; an
            engine works on as many such batches as fit into a block.
        max_new_tokens: most tokens of one answer, for candidates whose zoo entry does not say;
            None: 16 for options and short texts, 1024 for other graders, and 8192 more for
            candidates that reason.
        candidate_deadline_s: seconds from a candidate's start to its end, after which it fails
            alone; covers scheduling, loading, answering and restarts of its engine.
        max_failed_fraction: largest share of questions (0..1) without an answer at which a
            candidate's outcomes and card are written.
        max_truncated_fraction: largest share of answers (0..1) that were cut off before they
            named a result at which a candidate gets a card.
        max_asking_runs: runs of an unfinished candidate that ask a failing question, each of
            them twice; after that its failure stands.
        remote: limits by name of candidates behind a URL; absent ones have the defaults.
        judge: what grades answers to questions whose grader is ``judge``.
    """

    zoo: Path
    output_dir: Path
    candidates: tuple[str, ...] | None = None
    replicas: PositiveInt | tuple[PositiveInt, PositiveInt] = 1
    max_parallel_candidates: int = Field(default=1, ge=1)
    block_size: int = Field(default=256, ge=1)
    batch_size: int = Field(default=32, ge=1)
    max_new_tokens: int | None = Field(default=None, ge=1)
    candidate_deadline_s: float = Field(default=1800.0, gt=0)
    max_failed_fraction: float = Field(default=0.05, ge=0, le=1)
    max_truncated_fraction: float = Field(default=0.05, ge=0, le=1)
    max_asking_runs: int = Field(default=3, ge=1)
    remote: dict[str, RemoteConfig] = Field(default_factory=dict)
    judge: JudgeConfig | None = None

    def limits(self, candidate: str) -> RemoteConfig:
        """How hard a candidate behind a URL may be asked."""
        return self.remote.get(candidate) or RemoteConfig()

    @field_validator("replicas")
    @classmethod
    def _in_order(cls, replicas: int | tuple[int, int]) -> int | tuple[int, int]:
        if isinstance(replicas, tuple) and replicas[0] > replicas[1]:
            raise ValueError(f"{list(replicas)} are not bounds; the first must be the lower bound")
        return replicas

    @property
    def replica_bounds(self) -> tuple[int, int]:
        """Least and most engines of one candidate."""
        return self.replicas if isinstance(self.replicas, tuple) else (self.replicas,) * 2

    @property
    def num_batches(self) -> int:
        """Batches that one engine works on at once."""
        return self.block_size // self.batch_size

    @model_validator(mode="after")
    def _batch_fits(self) -> Self:
        if self.batch_size > self.block_size:
            raise ValueError(
                f"batch_size {self.batch_size} is above block_size {self.block_size}; an engine "
                "works on at least one batch: lower the one or raise the other"
            )
        return self

    @field_validator("candidates")
    @classmethod
    def _distinct(cls, candidates: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if candidates is not None:
            if not candidates:
                raise ValueError("name at least one candidate, or leave it out to profile all")
            if len(set(candidates)) < len(candidates):
                raise ValueError("a candidate is named twice; name each once")
        return candidates


class ProfileConfig(AskingConfig):
    """One profiling run: which candidates answer which questions, and with what means.

    Attributes:
        questions: questions tables (parquet), all answered in one engine session per candidate;
            on a cluster of several machines, on storage that every machine sees.
        tasks: task set (JSON) to write cards for; None writes outcomes only.
        prompt: how questions are put and what of an answer counts.
    """

    questions: tuple[Path, ...] = Field(min_length=1)
    tasks: Path | None = None
    prompt: PromptConfig = Field(default_factory=PromptConfig)

    @field_validator("questions")
    @classmethod
    def _parquet(cls, questions: tuple[Path, ...]) -> tuple[Path, ...]:
        for path in questions:
            if path.suffix != ".parquet":  # Ray Data passes over files of other names
                raise ValueError(f"{path} is not called *.parquet; rename it")
        return questions
