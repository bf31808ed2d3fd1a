"""Model-SAT: route each request to the LLM that will answer it best.

The library holds the domain: artifacts, cards, the router model, routing policy and
evaluation. It imports no cluster, inference engine or web framework; the applications
``profiling``, ``train_jobs`` and ``serve_app`` add those.
"""

__version__ = "0.1.0"
