"""One version of the zoo, arranged so that a request is decided in a fraction of a millisecond.

Shapes: M candidates that may be chosen, in the zoo's order.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from modelsat.artifacts.router_description import read_description
from modelsat.routing.costs import zoo_costs
from modelsat.routing.policy import matching
from modelsat.zoo.candidate import Candidate
from serve_app.registry.state import ZooState
from serve_app.routing.tokens import TokenCounter

Mask = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

# Allow-lists seen lately; a list longer than this many patterns is worked out each time.
_MAX_REMEMBERED_LISTS = 256
_MAX_REMEMBERED_PATTERNS = 32


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
        max_scored_tokens: how many tokens of a text the router reads.
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
    def places(self) -> Mapping[str, int]:
        """Place of each candidate, by name."""
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def smallest_window(self) -> int:
        """The smallest context window, tokens; 0 where nobody may be chosen."""
        return int(self.windows_M.min(initial=2**62)) if self.candidates else 0

    def mask_of(self, names: Iterable[str]) -> Mask:
        """Which candidates are named."""
        mask = np.zeros(len(self.candidates), dtype=np.bool_)
        mask[[self.places[name] for name in names if name in self.places]] = True
        return mask

    def answering(self, endpoint: str) -> Mask:
        """Which candidates answer an endpoint."""
        return self._mask(endpoint, lambda candidate: endpoint in candidate.endpoints)

    def reading(self, modalities: frozenset[str]) -> Mask:
        """Which candidates read all of some kinds of input."""
        return self._mask(modalities, lambda candidate: modalities <= set(candidate.modalities))

    @cached_property
    def taking_tools(self) -> Mask:
        """Which candidates take requests that bring tools."""
        return np.array([c.tools for c in self.candidates], dtype=np.bool_)

    def matching(self, patterns: tuple[str, ...]) -> Mask:
        """Which candidates match a list of names and shell patterns."""
        mask = self._patterns.get(patterns)
        if mask is None:
            mask = self.mask_of(frozenset(matching(self.names, patterns)))
            if len(patterns) <= _MAX_REMEMBERED_PATTERNS:
                if len(self._patterns) >= _MAX_REMEMBERED_LISTS:
                    self._patterns.clear()
                self._patterns[patterns] = mask
        return mask

    def align(self, by_candidate: Mapping[str, float]) -> Floats:
        """Scores in the order of the candidates, float32 [M]; NaN where there is none."""
        missing = float("nan")
        return np.array([by_candidate.get(name, missing) for name in self.names], np.float32)

    def _mask(self, key: str | frozenset[str], passes: Callable[[Candidate], bool]) -> Mask:
        if key not in self._masks:
            self._masks[key] = np.array([passes(c) for c in self.candidates], dtype=np.bool_)
        return self._masks[key]


def build_table(state: ZooState) -> ZooTable:
    """Arrange a version of the zoo; reads the router's description and tokenizer.

    Raises:
        ArtifactError: there is no router directory, or it is of another version.
    """
    cards = {card.candidate: card for card in state.cards}
    candidates = tuple(c for c in state.zoo.candidates if c.name in cards)
    costs = zoo_costs(state.zoo, [c.name for c in candidates]).by_candidate
    model = read_description(state.router)["model"]
    return ZooTable(
        state=state,
        candidates=candidates,
        costs_M=np.array([math.inf if (c := costs[x.name]) is None else c for x in candidates]),
        windows_M=np.array([c.context_window for c in candidates], dtype=np.int64),
        accuracy_M=np.array([cards[c.name].accuracy_fraction for c in candidates]),
        tokens=TokenCounter.of_router(state.router),
        max_scored_tokens=max(model["max_instruction_tokens"], model["max_encoder_tokens"]),
    )
