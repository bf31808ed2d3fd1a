"""The candidates of one zoo version, and which of them can answer a request.

Arranged so that a request for a thousand candidates is filtered in a fraction of a millisecond.
Shapes: M candidates that may be chosen, in the zoo's order.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from modelsat.artifacts.router_description import read_description
from modelsat.routing.admission import (
    Admission,
    Doubles,
    Exclusion,
    Filter,
    Mask,
    admit,
    constraint_filters,
    matching,
)
from modelsat.routing.costs import zoo_costs
from modelsat.zoo.candidate import Candidate
from serve_app.contracts.errors import ApiError
from serve_app.contracts.routing import RouteRequest
from serve_app.contracts.zoo_state import ZooState

Floats = npt.NDArray[np.float32]

# Masks of recent allow-lists are cached, except those of longer lists.
_MAX_REMEMBERED_LISTS = 256
_MAX_REMEMBERED_PATTERNS = 32

# Reasons beside those of the caller's constraints; their codes are shown by /v1/route.
NOT_PERMITTED = Exclusion("not_permitted", "not permitted to this API key")
ENDPOINT = Exclusion("endpoint_not_answered", "not answering this endpoint")
MODALITY = Exclusion("modality_not_read", "not reading this kind of input")
TOOLS = Exclusion("tools_not_taken", "not taking tools")
CONTEXT_WINDOW = Exclusion("context_window_too_small", "with too small a context window")

_MARGIN_FRACTION = 0.1
_BYTES_PER_TOKEN = 6
# What a chat template adds to the request: a default system prompt, the start of the answer.
# Templates of current models add 5 to 40 tokens.
_TEMPLATE_TOKENS = 64
# About 2 ms of counting, the longest that other requests of a replica may wait for.
_MAX_CHARS_AT_ONCE = 4096
# Longer texts than all pieces together are counted by sample; the pieces take about 60 ms.
_NUM_PIECES = 32
_PIECE_CHARS = 4096


class TokenCounter:
    """Estimates the tokens of a prompt before it is known which candidate reads it.

    Tokens are counted with the router's tokenizer, not the candidate's. Measured on a page of
    English, Python, compact JSON, LaTeX, German and Chinese against two of Mistral's tokenizers,
    the WordPiece tokenizer of the ``lite`` router counted between 5 % too few and 40 % too many;
    on digits, base64 and indented JSON up to 45 % too few; on Russian, Arabic and Korean up to
    three times too many. It drops white space and counts a word of unknown characters (Thai,
    emoji) as one token; therefore six bytes count as at least one token. The count is raised by
    10 %. A candidate that passes may still refuse the prompt.
    """

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        """Use a tokenizer without truncation and padding; with None, count bytes."""
        self._tokenizer = tokenizer
        if tokenizer is not None:
            tokenizer.no_truncation()
            tokenizer.no_padding()

    @classmethod
    def of_router(cls, directory: str | Path) -> "TokenCounter":
        """The counter of a router directory; it counts bytes if there is no tokenizer."""
        path = Path(directory) / "base" / "tokenizer.json"
        return cls(Tokenizer.from_file(str(path)) if path.is_file() else None)

    def at_most(self, text: str) -> int:
        """Upper bound of the tokens of a prompt: no token is shorter than a byte."""
        return _num_bytes(text) + _TEMPLATE_TOKENS

    async def estimate(self, text: str) -> int:
        """Estimated tokens of a prompt, margin included; long texts are counted in a thread."""
        if self._tokenizer is None or len(text) <= _MAX_CHARS_AT_ONCE:
            return self._estimate(text)
        return await asyncio.to_thread(self._estimate, text)

    def _estimate(self, text: str) -> int:
        num_bytes = _num_bytes(text)
        counted = max(self._count(text), num_bytes / _BYTES_PER_TOKEN)
        with_margin = int((1 + _MARGIN_FRACTION) * counted) + _TEMPLATE_TOKENS
        return min(with_margin, num_bytes + _TEMPLATE_TOKENS)

    def _count(self, text: str) -> float:
        if self._tokenizer is None:
            return 0
        if len(text) <= _NUM_PIECES * _PIECE_CHARS:
            return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
        step = (len(text) - _PIECE_CHARS) / (_NUM_PIECES - 1)
        starts = [int(piece * step) for piece in range(_NUM_PIECES)]
        pieces = [text[start : start + _PIECE_CHARS] for start in starts]
        sampled = sum(
            len(self._tokenizer.encode(piece, add_special_tokens=False).ids) for piece in pieces
        )
        return sampled * len(text) / (_NUM_PIECES * _PIECE_CHARS)


def _num_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, eq=False)
class ZooTable:
    """The candidates of a zoo that may be chosen.

    Attributes:
        state: the version of the zoo.
        candidates: those with a card.
        costs_M: blended price, US dollars per million tokens; infinite where unknown.
        windows_M: context windows, tokens.
        accuracy_M: share of correct answers on each card, 0..1.
        tokens: counts the tokens of prompts.
        max_scored_tokens: tokens of a text that the router reads.
    """

    state: ZooState
    candidates: tuple[Candidate, ...]
    costs_M: Doubles
    windows_M: npt.NDArray[np.int64]
    accuracy_M: Doubles
    tokens: TokenCounter
    max_scored_tokens: int
    _masks: dict[str | frozenset[str], Mask] = field(default_factory=dict)
    _patterns: dict[tuple[str, ...], Mask] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """Version of the zoo."""
        return self.state.version

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the candidates."""
        return tuple(candidate.name for candidate in self.candidates)

    @cached_property
    def indices(self) -> Mapping[str, int]:
        """Index of each candidate, by name."""
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def smallest_window(self) -> int:
        """The smallest context window, tokens; 0 if there is no candidate."""
        return int(self.windows_M.min(initial=2**62)) if self.candidates else 0

    def indices_of(self, names: Iterable[str]) -> list[int]:
        """Indices of the candidates that are named; other names are ignored."""
        return [self.indices[name] for name in names if name in self.indices]

    def answering(self, endpoint: str) -> Mask:
        """Which candidates answer an endpoint."""
        return self._mask(endpoint, lambda candidate: endpoint in candidate.endpoints)

    def reading(self, modalities: frozenset[str]) -> Mask:
        """Which candidates read all of some kinds of input."""
        return self._mask(modalities, lambda candidate: modalities <= set(candidate.modalities))

    @cached_property
    def taking_tools(self) -> Mask:
        """Which candidates accept requests with tools."""
        return np.array([c.tools for c in self.candidates], dtype=np.bool_)

    def matching(self, patterns: tuple[str, ...]) -> Mask:
        """Which candidates match a list of names and shell patterns."""
        mask = self._patterns.get(patterns)
        if mask is None:
            mask = np.zeros(len(self.candidates), dtype=np.bool_)
            mask[self.indices_of(matching(self.names, patterns))] = True
            if len(patterns) <= _MAX_REMEMBERED_PATTERNS:
                if len(self._patterns) >= _MAX_REMEMBERED_LISTS:
                    self._patterns.clear()
                self._patterns[patterns] = mask
        return mask

    def align(self, by_candidate: Mapping[str, float]) -> Floats:
        """Scores in the order of the candidates, float32 [M]; NaN if there is none."""
        missing = float("nan")
        return np.array([by_candidate.get(name, missing) for name in self.names], np.float32)

    def _mask(self, key: str | frozenset[str], passes: Callable[[Candidate], bool]) -> Mask:
        if key not in self._masks:
            self._masks[key] = np.array([passes(c) for c in self.candidates], dtype=np.bool_)
        return self._masks[key]


def build_table(state: ZooState) -> ZooTable:
    """Build the table of a zoo version; reads the router's description and tokenizer.

    Raises:
        ArtifactError: the router directory is missing, or of another schema version.
    """
    cards = {card.candidate: card for card in state.cards}
    candidates = tuple(c for c in state.zoo.candidates if c.name in cards)
    costs = zoo_costs(state.zoo, [c.name for c in candidates])
    model = read_description(state.router)["model"]
    return ZooTable(
        state=state,
        candidates=candidates,
        costs_M=costs.as_array(),
        windows_M=np.array([c.context_window for c in candidates], dtype=np.int64),
        accuracy_M=np.array([cards[c.name].accuracy_fraction for c in candidates]),
        tokens=TokenCounter.of_router(state.router),
        max_scored_tokens=max(model["max_instruction_tokens"], model["max_encoder_tokens"]),
    )


async def count_prompt_tokens(table: ZooTable, request: RouteRequest) -> int:
    """Tokens of the prompt; an upper bound if that already fits every context window.

    Most prompts are far smaller than every context window, and are not tokenized.
    """
    text = request.requirements.text
    bound = table.tokens.at_most(text)
    if bound + _num_answer_tokens(request) <= table.smallest_window:
        return bound
    return await table.tokens.estimate(text)


def admitted_candidates(table: ZooTable, request: RouteRequest, prompt_tokens: int) -> Admission:
    """Filter the candidates by the request's requirements and constraints.

    Images count as no tokens: how many they are depends on the candidate.

    Args:
        table: the zoo.
        request: the request.
        prompt_tokens: result of :func:`count_prompt_tokens`.

    Raises:
        ApiError: no candidate is left; see :func:`no_candidate`.
    """
    requirements, constraints = request.requirements, request.constraints
    filters: list[Filter] = []
    if request.permitted is not None:
        filters.append((table.matching(request.permitted), NOT_PERMITTED))
    filters.append((table.answering(requirements.endpoint), ENDPOINT))
    filters.append((table.reading(requirements.modalities), MODALITY))
    needed_tokens = prompt_tokens + _num_answer_tokens(request)
    filters.append((table.windows_M >= needed_tokens, CONTEXT_WINDOW))
    if requirements.tools:
        filters.append((table.taking_tools, TOOLS))
    filters += constraint_filters(constraints, table.costs_M, table.matching)
    admission = admit(len(table.names), filters)
    if not admission.admitted_M.any():
        raise no_candidate(table, admission, prompt_tokens)
    return admission


def no_candidate(table: ZooTable, admission: Admission, prompt_tokens: int) -> ApiError:
    """The error if no candidate can answer a request: the reasons, with counts.

    404, as other routers answer "no model does this", except for OpenAI's 400 for a prompt that
    is too long.
    """
    counts = admission.counts()
    if not counts:
        return ApiError(
            503,
            "no model can be chosen: no model of this zoo has a card yet; name a model",
            code="no_candidate",
            retry_after_s=1,
        )
    why = ", ".join(f"{count} {reason.description}" for reason, count in counts.items())
    message = f"none of {len(table.names)} models can answer this request: {why}"
    if CONTEXT_WINDOW in counts:
        is_too_small_M = admission.failed_M == admission.exclusions.index(CONTEXT_WINDOW)
        largest = int(table.windows_M[is_too_small_M].max())
        return ApiError(
            400,
            f"{message}; the prompt is about {prompt_tokens} tokens and the largest of these "
            f"windows is {largest}; shorten the prompt or lower max_tokens",
            code="context_length_exceeded",
            param="messages",
        )
    field = next((reason.constraint for reason in reversed(counts) if reason.constraint), None)
    advice = "change the request or name a model" if field is None else f"relax {field}"
    known_costs = table.costs_M[np.isfinite(table.costs_M)]
    if field == "max_cost" and len(known_costs):
        advice += f"; known costs start at {known_costs.min():g}"
    return ApiError(404, f"{message}; {advice}", code="no_candidate", param=field)


def _num_answer_tokens(request: RouteRequest) -> int:
    return max(1, request.requirements.max_new_tokens)
