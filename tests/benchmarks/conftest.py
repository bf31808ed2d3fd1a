"""Tests of the benchmarks' own code reach no cluster and no network."""

from tests.support.guards import loopback, no_cluster, no_network

__all__ = ["loopback", "no_cluster", "no_network"]
