"""From a router's scores to a decision."""
