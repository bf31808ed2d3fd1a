"""Expected latency and cost of an answer, from the answers that this replica has seen."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelsat.zoo.candidate import Price
from serve_app.contracts.request_record import RequestRecord

# Before any answer is seen: a typical length in chat logs, a few hundred tokens.
PRIOR_COMPLETION_TOKENS = 256.0
# Lowest weight of the newest answer: about the last 40 answers count.
_LEAST_WEIGHT = 0.05


@dataclass
class _Seen:
    num_answers: int = 0
    num_counted: int = 0  # of them with completion tokens
    completion_tokens: float = PRIOR_COMPLETION_TOKENS
    latency_s: float | None = None


class Estimates:
    """Moving means of completion tokens and latency, per candidate. An observer.

    The prior of 256 completion tokens counts like one answer; latency has no prior. Each ingress
    replica knows only the answers that it has relayed.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def finished(self, record: RequestRecord) -> None:
        """Count an answer; refusals, failures and embeddings do not count.

        A stream without ``include_usage`` counts for latency only.
        """
        is_complete = record.status == 200 and record.error_code is None
        if not is_complete or record.endpoint == "embeddings":
            return
        if record.candidate is None or record.duration_s is None:
            return
        seen = self._seen.setdefault(record.candidate, _Seen())
        seen.num_answers += 1
        before_s = record.duration_s if seen.latency_s is None else seen.latency_s
        weight = max(_LEAST_WEIGHT, 1 / seen.num_answers)
        seen.latency_s = before_s + weight * (record.duration_s - before_s)
        if record.completion_tokens:
            seen.num_counted += 1
            weight = max(_LEAST_WEIGHT, 1 / (seen.num_counted + 1))
            seen.completion_tokens += weight * (record.completion_tokens - seen.completion_tokens)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget all candidates but these."""
        names = set(names)
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}

    def completion_tokens(self, candidate: str, max_new_tokens: int = 0) -> float:
        """Expected tokens of an answer, at most ``max_new_tokens`` unless that is 0."""
        expected = self._seen.get(candidate, _Seen()).completion_tokens
        return min(expected, max_new_tokens) if max_new_tokens else expected

    def latency_s(self, candidate: str) -> float | None:
        """Expected time of a whole answer, seconds; None before the first answer."""
        return self._seen.get(candidate, _Seen()).latency_s

    def cost_usd(
        self, candidate: str, price: Price | None, prompt_tokens: int, max_new_tokens: int = 0
    ) -> float | None:
        """Expected cost of a request, US dollars; None if the price is unknown."""
        if price is None:
            return None
        return price.cost_usd(prompt_tokens, self.completion_tokens(candidate, max_new_tokens))
