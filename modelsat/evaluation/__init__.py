"""What a router is worth: metrics, baselines and the report."""
