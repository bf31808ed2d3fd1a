"""Metrics, traces, logs and the routing log. None of them holds text of a prompt."""
