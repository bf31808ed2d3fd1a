"""What a router has to beat, from an even draw to learned routers.

``simple`` holds those that need nothing but outcomes and cards. The rest are learners: ``groups``
(told the task), ``neighbours``, ``regression``, ``forest``, ``card_text`` and ``factorization``;
``learner`` says what they share, and ``tuning`` chooses their settings on validation questions.
"""

from modelsat.evaluation.baselines.simple import Baseline, baselines

__all__ = ["Baseline", "baselines"]
