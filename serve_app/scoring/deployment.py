"""The scorer deployment; only its replicas load torch."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ray.serve.handle import DeploymentHandle

from serve_app.config import ScorerOptions, ServeConfig
from serve_app.contracts.scores import ExplainedScores, Scores
from serve_app.observe.part_metrics import ScorerMetrics
from serve_app.registry.client import ControllerClient
from serve_app.registry.follower import ZooFollower
from serve_app.scoring.engine import ScoringEngine

if TYPE_CHECKING:
    from modelsat.routing.scoring import DTypeSetting, Scorer


class ScorerDeployment:
    """Returns P(correct) of every candidate of the zoo for texts."""

    async def __init__(  # type: ignore[misc]
        self, settings: dict[str, Any], controller: DeploymentHandle
    ) -> None:
        """Load the zoo's router and cards, warm up, and follow the zoo.

        Args:
            settings: fields of :class:`serve_app.config.ServeConfig`.
            controller: deployment of the zoo controller.

        Raises:
            ModelSatError: router or cards are refused, or the controller does not answer.
        """
        config = ServeConfig.model_validate(settings)
        self._engine = make_engine(config.scorer, on_pass=ScorerMetrics().scored)
        self._follower = ZooFollower(ControllerClient(controller), "scorer", self._engine.follow)
        await self._follower.start(config.startup_timeout_s)

    async def score(self, texts: Sequence[str]) -> list[Scores]:
        """Return P(correct) by candidate for each text; texts of other calls share a pass."""
        return await asyncio.gather(*map(self._engine.score, texts))

    async def explain(self, text: str, top_k: int) -> ExplainedScores:
        """Return P(correct) with the ``top_k`` most relevant card statements; not batched."""
        return await self._engine.explain(text, top_k)

    async def num_forward_passes(self) -> int:
        """Return the number of forward passes of the base model, without warm-up."""
        return self._engine.num_forward_passes


def make_engine(
    options: ScorerOptions, on_pass: Callable[[int, float], None] | None = None
) -> ScoringEngine:
    """Return the engine of a replica, without a zoo; see :class:`ScoringEngine`."""
    device = "cuda" if options.num_gpus > 0 else "cpu"
    return ScoringEngine(
        lambda directory: _load(directory, device, options.dtype),
        options.max_batch_size,
        options.batch_wait_timeout_s,
        even_lengths=device == "cpu",
        num_threads=options.num_threads if device == "cpu" else 1,
        set_num_threads=_set_num_threads,
        on_pass=on_pass,
    )


def _set_num_threads(number: int) -> None:
    # Imported here and below: the process that deploys this module has no need of torch.
    import torch

    torch.set_num_threads(number)


def _load(directory: str, device: str, dtype: "DTypeSetting") -> "Scorer":
    from modelsat.routing.scoring import Scorer

    return Scorer.load(directory, device, dtype=dtype)
