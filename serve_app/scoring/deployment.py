"""The Serve deployment that scores; torch is loaded by its replicas alone."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ray.serve.handle import DeploymentHandle

from serve_app.config import ScorerOptions, ServeConfig
from serve_app.observe.part_metrics import ScorerMetrics
from serve_app.registry.client import ControllerClient
from serve_app.registry.follower import ZooFollower
from serve_app.scoring.engine import ScoringEngine
from serve_app.scoring.scores import Explanation, Scores

if TYPE_CHECKING:
    from modelsat.routing.scoring import DTypeSetting, Scorer


class ScorerDeployment:
    """Answers texts with P(correct) of every candidate of the followed zoo."""

    async def __init__(  # type: ignore[misc]
        self, settings: dict[str, Any], controller: DeploymentHandle
    ) -> None:
        """Load the zoo's router, read its cards and score a few texts, then follow the zoo.

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
        """P(correct) of each text by candidate, in order; of other calls' texts too in a pass."""
        return await asyncio.gather(*map(self._engine.score, texts))

    async def explain(self, text: str, top_k: int) -> Explanation:
        """The same with the ``top_k`` card statements that mattered most; not batched."""
        return await self._engine.explain(text, top_k)

    async def num_forward_passes(self) -> int:
        """Forward passes of the router's base model for requests, warm-up not counted."""
        return self._engine.num_forward_passes


def make_engine(
    options: ScorerOptions, on_pass: Callable[[int, float], None] | None = None
) -> ScoringEngine:
    """The engine of a replica with these options, without a zoo; see :class:`ScoringEngine`."""
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
    # Here, as below, because whoever deploys this module imports it and needs no torch.
    import torch

    torch.set_num_threads(number)


def _load(directory: str, device: str, dtype: "DTypeSetting") -> "Scorer":
    from modelsat.routing.scoring import Scorer

    return Scorer.load(directory, device, dtype=dtype)
