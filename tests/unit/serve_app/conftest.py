"""Loads Ray Serve once, past the warning that its own classes cause."""

import warnings

with warnings.catch_warnings():
    # Ray 2.60 declares its settings in a way that pydantic 2 calls deprecated.
    warnings.filterwarnings("ignore", message="Using extra keyword arguments on `Field`")
    import ray.serve  # noqa: F401
