"""Use of requests, tokens and dollars: at most, before candidates are asked, and afterwards."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from modelsat.aptitude.own_requests import read_request
from modelsat.errors import ConfigError
from modelsat.grading.grade import JUDGE
from modelsat.grading.graders import grader_name
from modelsat.zoo.candidate import Candidate, Price
from profiling.collect_config import BudgetConfig, CollectConfig
from profiling.engines import engine_of

# A token is at least a byte of text; a chat template adds tokens of its own.
_TEMPLATE_TOKENS = 64
_IMAGE_TOKENS = 2000  # of an image or a sound; providers count up to about 1,600 for an image
_JUDGE_PROMPT_TOKENS = 1000  # instructions and rubric
_MAX_JUDGED_CHARS = 20_000  # of an answer

Question = Mapping[str, Any]


@dataclass(frozen=True)
class Usage:
    """Requests, tokens of prompts and answers, and US dollars."""

    requests: int = 0
    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum."""
        return Usage(
            self.requests + other.requests, self.tokens + other.tokens, self.usd + other.usd
        )

    def fits(self, budget: BudgetConfig) -> bool:
        """Return whether no limit is exceeded."""
        pairs = (
            (self.requests, budget.max_requests),
            (self.tokens, budget.max_tokens),
            (self.usd, budget.max_usd),
        )
        return all(limit is None or used <= limit for used, limit in pairs)


class Meter:
    """Counts what asking candidates uses.

    Args:
        candidates: the candidates that are asked.
        judge: zoo entry of the judge, or None; its price counts if it has one.
        config: the collection.

    Raises:
        ConfigError: dollars are limited, but a candidate or the judge has no price.
    """

    def __init__(
        self, candidates: Sequence[Candidate], judge: Candidate | None, config: CollectConfig
    ) -> None:
        self._candidates = candidates
        self._judge = config.judge
        self._judge_price = judge.price if judge else None
        self._config = config
        unpriced = [candidate.name for candidate in candidates if candidate.price is None]
        if self._judge is not None and self._judge_price is None:
            unpriced.append(self._judge.name)
        if config.budget.max_usd is not None and unpriced:
            raise ConfigError(
                f"budget.max_usd needs the price of {', '.join(unpriced)} in {config.zoo}; add it, "
                "or limit requests or tokens instead"
            )

    def most_by_name(self, questions: Sequence[Question]) -> dict[str, Usage]:
        """Return the most that each candidate and the judge can use, by name."""
        most: dict[str, Usage] = {}
        for question in questions:
            for candidate in self._readers(question):
                name = candidate.name
                most[name] = most.get(name, Usage()) + self._most(question, candidate)
                if self._judge is not None and grader_name(question) == JUDGE:
                    judged = self._judging(question, self._limit(question, candidate))
                    key = f"{self._judge.name} (judge)"
                    most[key] = most.get(key, Usage()) + judged
        return most

    def num_affordable(self, questions: Sequence[Question], spent: Usage) -> int:
        """Return how many of the first questions can be asked whatever the answers are."""
        for number, question in enumerate(questions):
            for used in self.most_by_name([question]).values():
                spent += used
            if not spent.fits(self._config.budget):
                return number
        return len(questions)

    def spent(self, questions: Sequence[Question], outcomes: pa.Table) -> Usage:
        """Return what answers and their judge have used; unknown token counts at the most."""
        by_id = {question["question_id"]: question for question in questions}
        by_name = {candidate.name: candidate for candidate in self._candidates}
        total = Usage()
        for row in outcomes.to_pylist():
            question, candidate = by_id[row["question_id"]], by_name[row["candidate"]]
            counts = (row["prompt_tokens"], row["completion_tokens"])
            if None in counts:
                total += self._most(question, candidate)
            else:
                total += _usage(*counts, candidate.price)
            if row["judgement"] is not None:
                total += self._judging(question, len((row["output"] or "").encode()))
        return total

    def _readers(self, question: Question) -> list[Candidate]:
        return [one for one in self._candidates if engine_of(one).reads(question)]

    def _limit(self, question: Question, candidate: Candidate) -> int:
        of_run = self._config.max_new_tokens
        return candidate.generation.max_tokens(grader_name(question), of_run)

    def _most(self, question: Question, candidate: Candidate) -> Usage:
        return _usage(
            _most_prompt_tokens(question), self._limit(question, candidate), candidate.price
        )

    def _judging(self, question: Question, answer_tokens: int) -> Usage:
        assert self._judge is not None  # only then there are judgements
        prompt = len(question["prompt"].encode()) + len(question["answer"].encode())
        prompt += min(2 * answer_tokens, _MAX_JUDGED_CHARS) + _JUDGE_PROMPT_TOKENS
        once = _usage(prompt, self._judge.max_new_tokens, self._judge_price)
        return once + once if question["answer"] else once


def _usage(prompt_tokens: int, completion_tokens: int, price: Price | None) -> Usage:
    usd = price.cost_usd(prompt_tokens, completion_tokens) if price else 0.0
    return Usage(1, prompt_tokens + completion_tokens, usd)


def _most_prompt_tokens(question: Question) -> int:
    request = read_request(question)
    num_files = len(question.get("images") or ())
    if request is None:
        num_bytes = len(question["prompt"].encode())
        return num_bytes + _TEMPLATE_TOKENS + _IMAGE_TOKENS * num_files
    messages = []
    for message in request["messages"]:
        content = message.get("content")
        if isinstance(content, list):
            num_files += sum(part["type"] != "text" for part in content)
            content = [part for part in content if part["type"] == "text"]
        messages.append({**message, "content": content})
    text = json.dumps({**request, "messages": messages}, ensure_ascii=False)
    num_bytes = len(text.encode("utf-8", "replace"))
    return num_bytes + _TEMPLATE_TOKENS * len(messages) + _IMAGE_TOKENS * num_files
