"""Routing: from a request to the order in which candidates are tried."""
