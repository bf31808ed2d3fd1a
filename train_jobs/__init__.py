"""Training the router: Ray Train and DeepSpeed around ``modelsat.training``."""
