"""Configuration of `modelsat collect`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from modelsat.chats import TextRule
from modelsat.config import FrozenConfig
from profiling.config import AskingConfig


class BudgetConfig(FrozenConfig):
    """Most that a collection may use; a limit that is null does not apply.

    Attributes:
        max_requests: requests to candidates and judge.
        max_tokens: tokens of prompts and answers, those of the judge included.
        max_usd: US dollars, at the prices of the zoo file.
    """

    max_requests: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class CollectConfig(AskingConfig):
    """Own prompts that every candidate answers, for training and evaluation.

    Attributes:
        prompts: routing logs or questions tables (``*.parquet``), OpenAI requests (``*.jsonl``),
            or folders of them.
        num_prompts: most prompts to ask.
        num_topics: topics that the sample is divided among, so that rare ones are in it.
        duplicate_similarity: similarity of texts, 0..1, from which a prompt repeats an earlier one.
        encoder: sentence-transformers model that groups prompts by topic, a hub id or a folder.
        text: the messages of a chat that the router reads; as ``routing.text`` of the endpoint.
        turns_chars: most characters of several messages; as ``routing.turns_chars``.
        grader: grades prompts without a gold answer; null: ``judge`` if one is configured, else
            ``vote``.
        redact: function, as ``module:function``, that changes each text before it is kept; null
            changes nothing.
        budget: most that the collection may use.
        seed: of topics and sample.
    """

    prompts: tuple[Path, ...] = Field(min_length=1)
    num_prompts: int = Field(default=1000, ge=1)
    num_topics: int = Field(default=50, ge=1)
    duplicate_similarity: float = Field(default=0.8, gt=0, le=1)
    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    text: TextRule = "last_user"
    turns_chars: int = Field(default=1024, ge=1)
    grader: Literal["judge", "vote"] | None = None
    redact: str | None = None
    budget: BudgetConfig = Field(default_factory=BudgetConfig)
    seed: int = 0

    @property
    def default_grader(self) -> Literal["judge", "vote"]:
        """Grader of prompts without a gold answer."""
        return self.grader or ("judge" if self.judge else "vote")

    @model_validator(mode="after")
    def _has_judge(self) -> Self:
        if self.grader == "judge" and self.judge is None:
            raise ValueError("grader is judge, but no judge is configured; set judge.name")
        return self
