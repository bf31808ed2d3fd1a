"""How a candidate generates its answers, in profiling and when it is served.

The same model at two efforts stands in a zoo as two candidates: its card must say what requests
will get.
"""

import json
from typing import Any

from pydantic import Field, field_validator

from modelsat.config import FrozenConfig

# Most tokens of an answer in profiling, by grader, where neither the candidate nor the run says.
# An option or a short text; a worked solution, which measures 100 to 400 tokens on GSM8K.
_TOKENS_BY_GRADER = {"choice": 16, "text": 16}
_TOKENS_OF_A_SOLUTION = 1024
_TOKENS_OF_REASONING = 8192  # before the answer; open reasoning models rarely need more on GSM8K


class Generation(FrozenConfig):
    """Settings of one candidate.

    Attributes:
        reasons: whether it reasons before it answers, which needs more tokens.
        max_new_tokens: most tokens of one answer in profiling, reasoning included; None: what
            the run says, or a default for the question's grader.
        reasoning_effort: as the OpenAI API names it, such as ``low`` or ``high``.
        chat_template_kwargs: arguments of the chat template, such as ``enable_thinking``.
        temperature: of sampling; profiling is greedy (0) unless it is set.
        top_p: least probability of the tokens that are sampled from, together.
        top_k: number of tokens that are sampled from.
        min_p: least probability of a sampled token, relative to the likeliest one.
    """

    reasons: bool = Field(default=False, strict=True)
    max_new_tokens: int | None = Field(default=None, ge=1, strict=True)
    reasoning_effort: str | None = Field(default=None, min_length=1, max_length=32)
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False, strict=True)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1, strict=True)
    min_p: float | None = Field(default=None, ge=0, le=1)

    @field_validator("chat_template_kwargs")
    @classmethod
    def _no_template(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        reserved = sorted({"messages", "conversation", "chat_template", "tokenize"} & kwargs.keys())
        if reserved:
            raise ValueError(f"{reserved} cannot be set; name arguments of the model's template")
        try:
            json.dumps(kwargs, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"cannot be sent as JSON: {error}") from None
        return kwargs

    @property
    def sampling(self) -> dict[str, float]:
        """The sampling settings that are set, by the names of the OpenAI API and of vLLM."""
        values = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "min_p")}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def template_arguments(self) -> dict[str, Any]:
        """Arguments of the chat template; vLLM passes ``reasoning_effort`` as one of them."""
        effort = (
            {} if self.reasoning_effort is None else {"reasoning_effort": self.reasoning_effort}
        )
        return {**effort, **self.chat_template_kwargs}

    @property
    def request_fields(self) -> dict[str, Any]:
        """Fields of a chat request, where the client does not set them."""
        fields: dict[str, Any] = dict(self.sampling)
        if self.reasoning_effort is not None:
            fields["reasoning_effort"] = self.reasoning_effort
        if self.chat_template_kwargs:
            fields["chat_template_kwargs"] = self.chat_template_kwargs
        return fields

    def max_tokens(self, grader: str, of_run: int | None) -> int:
        """Return the most tokens of an answer in profiling.

        Args:
            grader: name of the question's grader.
            of_run: limit of the profiling run, or None.
        """
        if self.max_new_tokens is not None:
            return self.max_new_tokens
        if of_run is not None:
            return of_run
        answer = _TOKENS_BY_GRADER.get(grader, _TOKENS_OF_A_SOLUTION)
        return _TOKENS_OF_REASONING + answer if self.reasons else answer

    def content(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults, for hashes.

        Empty by default, so that hashes of earlier releases hold.
        """
        return self.model_dump(exclude_defaults=True)
