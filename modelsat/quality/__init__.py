"""Training and judging a router on real outcomes of real LLMs, as a user would."""
