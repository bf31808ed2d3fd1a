"""Baselines for a router, from random choice to learned routers.

``simple`` has the baselines that need only outcomes and cards. The others are learned: ``groups``
(given the task), ``neighbours``, ``regression``, ``forest``, ``card_text`` and ``factorization``;
``learner`` has their common interface, and ``tuning`` chooses their settings on validation
questions.
"""

from modelsat.evaluation.baselines.simple import Baseline, baselines

__all__ = ["Baseline", "baselines"]
