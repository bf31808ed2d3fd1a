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
from modelsat.grading.judge import read_rubric
from modelsat.grading.judging import DEFAULT_RUBRIC, MAX_ANSWER_CHARS, asked_text
from modelsat.zoo.candidate import Candidate, Price
from profiling.collect_config import BudgetConfig, CollectConfig
from profiling.engines import engine_of

# A token is at least a byte of text; a chat template adds tokens of its own.
_TEMPLATE_TOKENS = 64
_IMAGE_TOKENS = 2000  # of an image; providers count up to about 1,600
_JUDGE_PROMPT_TOKENS = 500  # instructions, without the rubric
_BYTES_PER_TOKEN = 8  # of an answer, at most
_BYTES_PER_CHAR = 4

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
        zoo: all candidates of the zoo, by name; the judge's price counts if it is one of them.
        candidates: the candidates that are asked.
        config: the collection.

    Attributes:
        candidates: candidates to ask.

    Raises:
        ConfigError: dollars are limited, but a candidate or the judge has no price.
        ArtifactError: the rubric cannot be read.
    """

    def __init__(
        self,
        zoo: Mapping[str, Candidate],
        candidates: Sequence[Candidate],
        config: CollectConfig,
    ) -> None:
        self._zoo = zoo
        self.candidates = candidates
        self._judge = config.judge
        judge = zoo.get(config.judge.name) if config.judge else None
        self._judge_price = judge.price if judge else None
        rubric = config.judge.rubric if config.judge else None
        self._rubric = read_rubric(rubric) if rubric else DEFAULT_RUBRIC
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
                if self._judge is not None and self._is_judged(question, name):
                    key = f"{self._judge.name} (judge)"
                    most[key] = most.get(key, Usage()) + self.most_judging(candidate, [question])
        return most

    def num_affordable(self, questions: Sequence[Question], spent: Usage) -> int:
        """Return how many of the first questions can be asked whatever the answers are."""
        for number, question in enumerate(questions):
            for used in self.most_by_name([question]).values():
                spent += used
            if not spent.fits(self._config.budget):
                return number
        return len(questions)

    def most_of(self, candidate: Candidate, questions: Sequence[Question]) -> Usage:
        """Return the most that one candidate's answers to some questions use, and their judge."""
        total = self.most_judging(candidate, questions)
        for question in questions:
            total += self._most(question, candidate)
        return total

    def most_judging(self, candidate: Candidate, questions: Sequence[Question]) -> Usage:
        """Return the most that the judge uses for one candidate's answers to some questions."""
        total = Usage()
        for question in questions:
            if self._is_judged(question, candidate.name):
                num_bytes = _BYTES_PER_TOKEN * self._limit(question, candidate)
                total += self._judging(question, num_bytes)
        return total

    def answered(self, questions: Mapping[str, Question], outcomes: pa.Table) -> Usage:
        """Return what the answers of a candidate have used; unknown token counts at the most.

        Args:
            questions: questions by id.
            outcomes: outcomes of one candidate of the zoo.

        Raises:
            ConfigError: the zoo no longer holds the candidate.
        """
        total = Usage()
        for row in outcomes.to_pylist():
            candidate = self._asked_before(row["candidate"])
            counts = (row["prompt_tokens"], row["completion_tokens"])
            if None in counts:
                total += self._most(questions[row["question_id"]], candidate)
            else:
                total += _usage(*counts, candidate.price)
        return total

    def _asked_before(self, name: str) -> Candidate:
        if name not in self._zoo:
            raise ConfigError(
                f"candidate {name!r} was asked before, but is no longer in the zoo, so its price "
                "and limits are unknown; put it back, or collect into another output_dir"
            )
        return self._zoo[name]

    def judged(
        self, questions: Mapping[str, Question], outcomes: pa.Table, num_requests: int
    ) -> Usage:
        """Return what the judge has used at most.

        Args:
            questions: questions by id.
            outcomes: outcomes of all candidates.
            num_requests: requests to the judge, those included that gave no score.
        """
        once = Usage()
        for row in outcomes.to_pylist():
            if row["judgement"] is not None:
                num_bytes = len((row["output"] or "").encode())
                once += self._judging(questions[row["question_id"]], num_bytes)
        if not once.requests:
            return once
        times = num_requests / once.requests
        return Usage(num_requests, round(times * once.tokens), times * once.usd)

    def _is_judged(self, question: Question, candidate: str) -> bool:
        judge = self._judge
        if judge is None or grader_name(question) != JUDGE:
            return False
        return judge.allow_itself or judge.name != candidate

    def _readers(self, question: Question) -> list[Candidate]:
        return [one for one in self.candidates if engine_of(one).reads(question)]

    def _limit(self, question: Question, candidate: Candidate) -> int:
        fields = self._config.limits(candidate.name).request_fields
        stated = [fields.get(name) for name in ("max_tokens", "max_completion_tokens")]
        limits = [int(limit) for limit in stated if limit is not None]
        of_run = self._config.max_new_tokens
        return max(limits, default=candidate.generation.max_tokens(grader_name(question), of_run))

    def _most(self, question: Question, candidate: Candidate) -> Usage:
        return _usage(
            _most_prompt_tokens(question), self._limit(question, candidate), candidate.price
        )

    def _judging(self, question: Question, answer_bytes: int) -> Usage:
        assert self._judge is not None  # only then there are judgements
        texts = (asked_text(question), question["answer"], question["grader_args"] or self._rubric)
        prompt = sum(len(text.encode()) for text in texts)
        prompt += min(answer_bytes, _BYTES_PER_CHAR * MAX_ANSWER_CHARS) + _JUDGE_PROMPT_TOKENS
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
            files = [part for part in content if part["type"] == "image_url"]
            num_files += len(files)
            content = [part for part in content if part not in files]
        messages.append({**message, "content": content})
    text = json.dumps({**request, "messages": messages}, ensure_ascii=False)
    num_bytes = len(text.encode("utf-8", "replace"))
    return num_bytes + _TEMPLATE_TOKENS * len(messages) + _IMAGE_TOKENS * num_files
