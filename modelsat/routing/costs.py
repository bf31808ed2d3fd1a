"""Costs of candidates from a zoo file or a candidates table. Torch-free."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from modelsat.artifacts.schemas import CANDIDATES
from modelsat.artifacts.store import read_table
from modelsat.errors import ArtifactError, ConfigError
from modelsat.zoo.zoo_file import Zoo, load_zoo

# Three prompt tokens to one answer token, the ratio used by price comparisons (Artificial Analysis)
# for a single price per model.
OUTPUT_FRACTION = 0.25

USD_PER_MTOK = "usd_per_mtok"
PARAMS_B = "params_b"
_PRICED = (
    f"US dollars per million tokens, {1 - OUTPUT_FRACTION:.0%} of them prompt and "
    f"{OUTPUT_FRACTION:.0%} answer"
)


@dataclass(frozen=True)
class CandidateCosts:
    """Costs of candidates, all in the same unit.

    Attributes:
        by_candidate: cost of every requested candidate; None if unknown.
        unit: ``usd_per_mtok`` or ``params_b``.
        description: the unit in words, and whether it is only a proxy for price.
    """

    by_candidate: dict[str, float | None]
    unit: str
    description: str

    def as_array(self) -> npt.NDArray[np.float64]:
        """Costs in the order of the candidates, infinite where unknown: float64 [M]."""
        costs = self.by_candidate.values()
        return np.array([math.inf if cost is None else cost for cost in costs], np.float64)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Candidates whose cost is unknown."""
        return tuple(name for name, cost in self.by_candidate.items() if cost is None)


def load_costs(
    names: Sequence[str],
    *,
    zoo: str | Path | None = None,
    candidates_table: str | Path | None = None,
) -> CandidateCosts | None:
    """Load costs from a zoo file or a candidates table; None if neither is given.

    Args:
        names: the candidates to choose from.
        zoo: zoo file; see :func:`zoo_costs`.
        candidates_table: candidates table; see :func:`table_costs`.

    Raises:
        ConfigError: both files are given.
        ZooError: the zoo file is invalid.
        ArtifactError: the table is invalid, or the file has no cost of any candidate.
    """
    if zoo is not None and candidates_table is not None:
        raise ConfigError(f"both {zoo} and {candidates_table} have costs; pass only one of them")
    if zoo is not None:
        costs = zoo_costs(load_zoo(zoo), names)
    elif candidates_table is not None:
        costs = table_costs(read_table(CANDIDATES, candidates_table), names)
    else:
        return None
    if len(costs.unknown) == len(costs.by_candidate):
        raise ArtifactError(
            f"{zoo or candidates_table} has no price (or, in a table, params_b) of any of "
            f"{', '.join(names)}; add one, or choose by score alone"
        )
    return costs


def zoo_costs(zoo: Zoo, names: Sequence[str]) -> CandidateCosts:
    """Return a zoo's blended prices; unknown for candidates without a price or not in the zoo."""
    prices = {
        c.name: blended_price(c.price.input_usd_per_mtok, c.price.output_usd_per_mtok)
        for c in zoo.candidates
        if c.price is not None
    }
    return CandidateCosts({name: prices.get(name) for name in names}, USD_PER_MTOK, _PRICED)


def table_costs(table: pa.Table, names: Sequence[str]) -> CandidateCosts:
    """Return costs from a candidates table: blended prices, or ``params_b`` as a proxy.

    Units are never mixed. Prices are used unless ``params_b`` is known for more of the
    candidates; the description then says that it is a proxy. A candidate's price is known if both
    prices are; the cost of a candidate that is not in the table is unknown.

    Args:
        table: a candidates table, as returned by ``read_table``.
        names: the candidates to choose from.

    Raises:
        ArtifactError: a price or size is negative.
    """
    rows = {row["candidate"]: row for row in table.to_pylist()}
    prices = {name: _price(rows.get(name, {})) for name in names}
    sizes = {name: _figure(rows.get(name, {}), "params_b") for name in names}
    priced, sized = (sum(v is not None for v in known.values()) for known in (prices, sizes))
    if priced >= sized:
        return CandidateCosts(prices, USD_PER_MTOK, _PRICED)
    return CandidateCosts(
        sizes,
        PARAMS_B,
        "billions of parameters, a proxy for price: the table has prices of "
        f"{priced} of {len(names)} candidates",
    )


def blended_price(input_usd_per_mtok: float, output_usd_per_mtok: float) -> float:
    """Return US dollars per million tokens, for a mix of prompt and answer tokens."""
    return (1 - OUTPUT_FRACTION) * input_usd_per_mtok + OUTPUT_FRACTION * output_usd_per_mtok


def _price(row: Mapping[str, Any]) -> float | None:
    prompt = _figure(row, "price_in_usd_per_mtok")
    answer = _figure(row, "price_out_usd_per_mtok")
    return None if prompt is None or answer is None else blended_price(prompt, answer)


def _figure(row: Mapping[str, Any], column: str) -> float | None:
    value = row.get(column)
    if value is None or not math.isfinite(value):
        return None
    if value < 0:
        raise ArtifactError(
            f"candidates table: {row['candidate']!r} has {column} {value:g}; allowed: 0 or "
            "more, or null if unknown"
        )
    return float(value)
